import { claimedType } from "./limits";
import { ask, type Patience, persistently, send, UploadError } from "./request";

/** A picture as the service tells of it. */
export interface Picture extends Record<string, unknown> {
  key: string;
  url: string;
}

/** What a delivery tells while it is under way. */
export interface Report {
  progress(percent: number): void;
  waits(error: UploadError, milliseconds: number): void;
  checking(): void;
}

/** The service, by the addresses of its routes. */
export interface Service {
  apiKey: string;
  tickets: string;
  complete: string;
  uploads: string;
}

interface Ticket {
  url: string;
  data: Record<string, string>;
  /** When it was had, and how long it lives, in milliseconds. */
  had: number;
  lifetime: number;
}

/** So much of a ticket's life is left to post with it. */
const MARGIN = 0.1;

/** Where the addresses of the other routes are, beside that of the tickets. */
export function service(apiKey: string, signingUrl: string): Service {
  let address: URL;
  try {
    address = new URL(signingUrl || "/generate_policy", document.baseURI);
  } catch {
    throw new TypeError(`ThumbstackUpload: the signing URL ${signingUrl} is no address.`);
  }
  if (address.pathname.endsWith("/")) {
    address.pathname += "generate_policy";
  }
  const beside = (name: string) => new URL(name, address).href;
  return { apiKey, tickets: address.href, complete: beside("complete"), uploads: beside(".") };
}

/** Brings files to the storage, each with a ticket of its own, and has them inspected. */
export class Delivery {
  /** Whether the browser reaches the storage; nothing: not known yet. */
  private direct: boolean | undefined;

  constructor(
    private readonly service: Service,
    private readonly patience: Patience,
    direct: boolean,
  ) {
    this.direct = direct ? undefined : false;
  }

  async deliver(file: File, name: string, signal: AbortSignal, report: Report): Promise<Picture> {
    const under = new Errand(this.service, this.patience, file, name, signal, report);
    if (this.direct === false) {
      return under.throughService();
    }
    try {
      await under.toStorage(this.direct ? undefined : Math.min(this.patience.retries, 1));
    } catch (error) {
      if (!(error instanceof UploadError && error.code === "unreachable" && under.posted)) {
        throw error;
      }
      // It may have arrived, and only the answer not.
      const picture = (await under.completed(true)) ?? (await under.throughService());
      this.direct ??= false;
      return picture;
    }
    this.direct = true;
    return (await under.completed()) as Picture;
  }
}

/** One file on its way. */
class Errand {
  /** A ticket was had, so the service is there. */
  posted = false;
  private ticket: Ticket | undefined;

  constructor(
    private readonly service: Service,
    private readonly patience: Patience,
    private readonly file: File,
    private readonly name: string,
    private readonly signal: AbortSignal,
    private readonly report: Report,
  ) {}

  /**
   * Post it straight to the storage; `unreachable`: try again so often where nobody answers. A ticket that is refused is
   * renewed once: it may have ended.
   */
  async toStorage(unreachable?: number): Promise<void> {
    for (let renewed = false; ; renewed = true) {
      try {
        await this.persistently(() => this.withTicket());
        await this.persistently(() => this.postTo(), unreachable);
        return;
      } catch (error) {
        const refused = error instanceof UploadError && ["ticket_refused", "expired"].includes(error.code);
        if (!refused || renewed) {
          throw refused && this.isOld() ? new UploadError("expired", error.status, error.detail) : error;
        }
        this.ticket = undefined;
      }
    }
  }

  /** Have it inspected. With `maybe`, nothing where the storage has no such file. */
  async completed(maybe = false): Promise<Picture | undefined> {
    this.report.checking();
    const fields = this.fields({ key: this.ticket?.data.key ?? "" });
    try {
      return await this.persistently(async () =>
        told<Picture>(await ask(this.service.complete, fields, this.signal), "key", "url"),
      );
    } catch (error) {
      if (maybe && error instanceof UploadError && error.code === "no_such_picture") {
        return undefined;
      }
      throw error;
    }
  }

  /** Upload it as any client does, where the browser cannot reach the storage. */
  async throughService(): Promise<Picture> {
    // What would not be taken is known before it is sent.
    await this.persistently(() => this.withTicket());
    const form = new FormData();
    if (this.service.apiKey) {
      form.append("api_key", this.service.apiKey);
    }
    form.append("file", this.file, this.name);
    const answer = await this.persistently(async () =>
      told<{ pictures: [Picture] }>(await this.send(this.service.uploads, form), "pictures"),
    );
    return answer.pictures[0];
  }

  private async withTicket(): Promise<void> {
    if (this.ticket && !this.isOld()) {
      return;
    }
    const wish: Record<string, string> = { filename: this.name, size: String(this.file.size) };
    const type = claimedType({ name: this.name, type: this.file.type });
    if (type) {
      wish.content_type = type;
    }
    const had = Date.now();
    const { url, data, expires } = told<{ url: string; data: Record<string, string>; expires: string }>(
      await ask(this.service.tickets, this.fields(wish), this.signal),
      "url",
      "data",
    );
    // Both by the service's clock: this one may be wrong.
    const signed = (data.x_amz_date ?? "").replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z");
    this.ticket = { url, data, had, lifetime: Date.parse(expires) - Date.parse(signed) };
  }

  private isOld(): boolean {
    const ticket = this.ticket;
    return ticket !== undefined && Date.now() - ticket.had > ticket.lifetime * (1 - MARGIN);
  }

  private async postTo(): Promise<void> {
    // While it was waited, the ticket may have ended.
    await this.withTicket();
    const { url, data } = this.ticket as Ticket;
    const form = new FormData();
    for (const [name, value] of Object.entries(data)) {
      form.append(name.replace(/_/g, "-"), value);
    }
    // S3 reads nothing behind the file.
    form.append("file", this.file);
    this.posted = true;
    await this.send(url, form);
  }

  /** Send a form with the file. One that cannot be read any more looks as if nobody had been reached. */
  private async send(url: string, form: FormData): Promise<Record<string, unknown>> {
    try {
      // It is not done before it is inspected.
      const progress = (sent: number, total: number) => this.report.progress(Math.min((100 * sent) / total, 99));
      return await send(url, form, this.signal, progress);
    } catch (error) {
      if (error instanceof UploadError && error.code === "unreachable") {
        await this.file
          .slice(0, 1)
          .arrayBuffer()
          .catch(() => {
            throw new UploadError("unreadable");
          });
      }
      throw error;
    }
  }

  private fields(fields: Record<string, string>): URLSearchParams {
    // In the body: addresses are logged.
    return new URLSearchParams(this.service.apiKey ? { api_key: this.service.apiKey, ...fields } : fields);
  }

  private persistently<T>(attempt: () => Promise<T>, unreachable = this.patience.retries): Promise<T> {
    return persistently(attempt, { ...this.patience, unreachable }, this.signal, this.report.waits);
  }
}

/** What the service told. Where it is somebody else who answered, such as a hotel's network, nobody was reached. */
function told<T>(answer: Record<string, unknown>, ...names: string[]): T {
  if (!names.every((name) => answer[name])) {
    throw new UploadError("unreachable", 0, "The answer is none of this service's.");
  }
  return answer as T;
}
