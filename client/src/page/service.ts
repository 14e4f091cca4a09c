import type { Picture } from "./picture";

/** Why the service does not do what was asked: its own sentence, for a person. */
export class Refusal extends Error {
  constructor(
    sentence: string,
    /** 0: nobody answered. */
    readonly status: number,
  ) {
    super(sentence);
  }
}

/** A page of pictures; `next` is where the page after it begins. */
export interface List {
  pictures: Picture[];
  next: string | null;
}

/** How many copies a delete takes, or would take. */
export interface Counts {
  originals: number;
  results: number;
  website: number;
  edge: number;
}

/** Signed addresses of one variant. */
export interface Signed {
  url: string;
  srcset?: string;
  picture: string;
}

/** What a picture's address answered. */
export interface Answer {
  status: number;
  body: Blob;
  cache: string;
  timing: string;
}

const KEY = "thumbstack-private-key";
const PAGE = 24;

/** The service that this page came from. Its key is kept by this tab only, and is sent in a header only. */
export class Service {
  get key(): string {
    return sessionStorage.getItem(KEY) ?? "";
  }

  set key(key: string) {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  }

  list(after: string): Promise<List> {
    return this.#json(`pictures?${new URLSearchParams({ order: "newest", limit: String(PAGE), after })}`);
  }

  facts(key: string): Promise<Picture> {
    return this.#json(`pictures/${key}`);
  }

  sign(fields: Record<string, unknown>, signal: AbortSignal): Promise<Signed> {
    const headers = { "Content-Type": "application/json" };
    return this.#json("sign", { method: "POST", body: JSON.stringify(fields), headers, signal });
  }

  delete(key: string, only: "count" | "really"): Promise<Counts> {
    return this.#json(`pictures/${key}${only === "count" ? "?dry_run=1" : ""}`, { method: "DELETE" });
  }

  /** Asks for a picture past the browser's own cache, as an <img> would. */
  async look(address: string, signal?: AbortSignal): Promise<Answer> {
    const headers = { Accept: "image/avif,image/webp,image/*;q=0.8" };
    const answer = await reached(address, { headers, cache: "no-store", signal: signal ?? null });
    const told = (name: string) => answer.headers.get(name) ?? "";
    if (!answer.ok && answer.status !== 404 && answer.status !== 410) throw await refusal(answer);
    return {
      status: answer.status,
      body: await answer.blob(),
      cache: told("X-Cache"),
      timing: told("Server-Timing"),
    };
  }

  async #json<T>(path: string, init: RequestInit = {}): Promise<T> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set("Authorization", `Bearer ${this.key}`);
    const answer = await reached(path, { ...init, headers, cache: "no-store" });
    if (!answer.ok) throw await refusal(answer);
    return answer.json() as Promise<T>;
  }
}

async function reached(address: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(address, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refusal("The service cannot be reached. Is it running, and are you online?", 0);
  }
}

async function refusal(answer: Response): Promise<Refusal> {
  const told = (await answer.json().catch(() => ({}))) as { error?: string };
  return new Refusal(told.error ?? `The service answered ${answer.status}.`, answer.status);
}
