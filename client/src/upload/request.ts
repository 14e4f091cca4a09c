/** Trouble with a request: the service's refusal by its code, or `unreachable` where there was no answer. */
export class UploadError extends Error {
  constructor(
    readonly code: string,
    readonly status = 0,
    /** What the service said. */
    readonly detail = "",
    /** Seconds that the service asks to wait. */
    readonly retryAfter = 0,
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
}

const LONGEST_PAUSE = 60_000;
/** Without a byte of it gone for so long, a request is dead. */
const SILENCE = 60_000;

/** Milliseconds before the next try: twice as long each time, and not all pages in the same moment. */
export function backoff(tried: number, delay: number, retryAfter = 0, chance = Math.random()): number {
  const pause = delay * 2 ** tried * (0.75 + chance / 2);
  return Math.min(Math.max(pause, retryAfter * 1000), LONGEST_PAUSE);
}

/** Try until it works, or the trouble is one that stays, or patience ends. */
export async function persistently<T>(
  attempt: () => Promise<T>,
  { retries, delay }: Patience,
  signal: AbortSignal,
  waits: (error: UploadError, milliseconds: number) => void,
): Promise<T> {
  for (let tried = 0; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof UploadError) || !error.passes || tried >= retries) {
        throw error;
      }
      const milliseconds = backoff(tried, delay, error.retryAfter);
      waits(error, milliseconds);
      await pause(milliseconds, signal);
    }
  }
}

/** POST a form and read the answer; a status that is no success is thrown. */
export function post(
  url: string,
  form: FormData | URLSearchParams,
  signal: AbortSignal,
  patience: number = SILENCE,
  progress?: (sent: number, total: number) => void,
): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    // fetch does not tell how much it has sent.
    const request = new XMLHttpRequest();
    let timer = 0;
    const abort = () => request.abort();
    const awake = () => {
      clearTimeout(timer);
      timer = window.setTimeout(abort, patience);
    };
    const fail = () => reject(signal.aborted ? signalled() : new UploadError("unreachable"));
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    };
    request.onload = () => {
      const answer = read(request.responseText);
      if (request.status >= 200 && request.status < 300) {
        resolve(answer);
      } else {
        reject(refused(request, answer));
      }
    };
    request.onerror = request.onabort = fail;
    if (progress) {
      // Listened to, a request to another origin is asked for beforehand.
      request.upload.onprogress = (event) => {
        awake();
        progress(event.loaded, event.total);
      };
    }
    if (signal.aborted) {
      fail();
      return;
    }
    signal.addEventListener("abort", abort);
    request.open("POST", url);
    awake();
    request.send(form);
  });
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

function refused(request: XMLHttpRequest, answer: Record<string, unknown>): UploadError {
  const detail = String(answer.error ?? "");
  const code = answer.code ?? (answer.storage ? storageCode(request.status, detail) : "unknown");
  // An unlisted header is null, and is not complained about where none is named.
  const after = /retry-after: *(\d+)/i.exec(request.getAllResponseHeaders())?.[1];
  return new UploadError(String(code), request.status, detail, Number(after ?? 0));
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
