/** Trouble with a request: the service's refusal by its code, or `unreachable` where there was no answer. */
export class UploadError extends Error {
  constructor(
    readonly code: string,
    readonly status = 0,
    /** What the service said. */
    readonly detail = "",
    /** Seconds that the service asks to wait. */
    readonly retryAfter = 0,
    /** The most bytes that the service takes, where that is why. */
    readonly maxBytes = 0,
  ) {
    super(detail || code);
  }

  /** It may work when it is tried again as it is. */
  get passes(): boolean {
    return this.code === "unreachable" || [408, 425, 429].includes(this.status) || this.status >= 500;
  }
}

/** How often, and after which pauses, trouble that may pass is met again. */
export interface Patience {
  retries: number;
  delay: number;
  /** How often where nobody answers, if not as often. */
  unreachable?: number;
}

const LONGEST_PAUSE = 60_000;
/** A file of which nothing more has gone for so long is stuck; and one that is not answered: what nginx allows, and more. */
const SILENCE = 60_000;
const ANSWER = 330_000;

/** Whether there has been a network: where there is none at all, a browser still reaches its own machine. */
let networked = navigator.onLine;
window.addEventListener("online", () => {
  networked = true;
});

/** Milliseconds before the next try: twice as long each time, and not all pages in the same moment. */
export function backoff(tried: number, delay: number, retryAfter = 0, chance = Math.random()): number {
  const pause = delay * 2 ** tried * (0.75 + chance / 2);
  return Math.min(Math.max(pause, retryAfter * 1000), LONGEST_PAUSE);
}

/** Try until it works, or the trouble is one that stays, or patience ends; it does not while there is no network. */
export async function persistently<T>(
  attempt: () => Promise<T>,
  { retries, delay, unreachable = retries }: Patience,
  signal: AbortSignal,
  waits: (error: UploadError, milliseconds: number) => void,
): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof UploadError) || !error.passes) {
        throw error;
      }
      const silent = error.code === "unreachable";
      const offline = silent && networked && !navigator.onLine;
      if (tried >= (silent ? unreachable : retries) && !offline) {
        throw error;
      }
      const milliseconds = offline ? LONGEST_PAUSE : backoff(tried, delay, error.retryAfter);
      waits(error, milliseconds);
      await pause(milliseconds, signal);
      tried -= Number(offline);
    }
  }
}

/** POST a few fields and read the answer; a status that is no success is thrown. */
export async function ask(url: string, fields: URLSearchParams, signal: AbortSignal): Promise<Record<string, unknown>> {
  let response: Response;
  let text: string;
  try {
    // Browsers have six connections to a server at a time: this must not stand behind large files.
    response = await fetch(url, { method: "POST", body: fields, signal, credentials: "omit", priority: "high" });
    text = await response.text();
  } catch {
    throw ended(signal);
  }
  return judged(response.status, text, response.headers.get("Retry-After"));
}

/** POST a form with a file, telling how much of it is sent. fetch could not say that. */
export function send(
  url: string,
  form: FormData,
  signal: AbortSignal,
  progress: (sent: number, total: number) => void,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer = 0;
    const abort = () => request.abort();
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    request.onload = () => {
      try {
        // A header that another origin may not read is null, and complained about by some browsers.
        const after = /^retry-after: *(.*)$/im.exec(request.getAllResponseHeaders())?.[1];
        resolve(judged(request.status, request.responseText, after));
      } catch (error) {
        reject(error);
      }
    };
    request.onerror = request.onabort = () => reject(ended(signal));
    request.upload.onprogress = (event) => {
      progress(event.loaded, event.total);
      // Not before it has begun: it may have to wait for a connection.
      clearTimeout(timer);
      timer = window.setTimeout(abort, event.loaded < event.total ? SILENCE : ANSWER);
    };
    signal.addEventListener("abort", abort);
    request.open("POST", url);
    if (signal.aborted) {
      reject(signalled());
    } else {
      request.send(form);
    }
  });
}

/** Why there is no answer: nobody wants it any more, or nobody could be reached. */
function ended(signal: AbortSignal): Error {
  return signal.aborted ? signalled() : new UploadError("unreachable");
}

/** What a request is ended with that nobody wants any more. */
function signalled(): DOMException {
  return new DOMException("The upload was cancelled.", "AbortError");
}

function read(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === "object" && answer !== null ? (answer as Record<string, unknown>) : {};
  } catch {
    // S3 answers nothing, or XML; a proxy that is not ours answers HTML.
    return { error: text.match(/<Message>([^<]*)/)?.[1] ?? "", storage: text.match(/<Code>([^<]*)/)?.[1] };
  }
}

/** The answer, where its status is a success; else it is thrown. */
function judged(status: number, text: string, retryAfter: string | null | undefined): Record<string, unknown> {
  const answer = read(text);
  if (status >= 200 && status < 300) {
    return answer;
  }
  const detail = String(answer.error || `HTTP ${status}`);
  const code = answer.code ?? (answer.storage ? storageCode(status, detail) : "unknown");
  // A date would be one by another clock.
  const seconds = Number.parseInt(retryAfter ?? "", 10) || 0;
  throw new UploadError(String(code), status, detail, seconds, Number(answer.max_bytes) || 0);
}

/** S3's own refusals, where files go to it without our nginx between. */
function storageCode(status: number, detail: string): string {
  if (/expired/i.test(detail)) {
    return "expired";
  }
  return status < 500 ? "ticket_refused" : "storage_unavailable";
}

/** Wait; less where the network comes back meanwhile. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      window.removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      if (signal.aborted) {
        reject(signalled());
      } else {
        resolve();
      }
    };
    const timer = setTimeout(end, milliseconds);
    window.addEventListener("online", end);
    signal.addEventListener("abort", end);
    if (signal.aborted) {
      end();
    }
  });
}
