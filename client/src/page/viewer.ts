import { copies, show } from "./copies";
import type { Gallery } from "./gallery";
import { part, within } from "./part";
import { format, here, type Picture, size } from "./picture";
import { Playground, type Seen } from "./playground";
import { type Counts, Refusal, type Service } from "./service";

// A picture's key (thumbstack/picture_key.py). Anything else would be another address of the service.
const KEY = /^o(?:\/(?!\.{1,2}(?:\/|$))[a-z0-9._-]{1,255}){3}$/;

/** One picture, opened: its address is the page's with its key as the fragment, so that back closes it. */
export class Viewer {
  readonly #dialog = part<HTMLDialogElement>("viewer");
  readonly #playground: Playground;
  #picture: Picture | null = null;
  #shown = "";
  // Whether the entry before this one in the browser's history is the gallery.
  #came = false;

  constructor(
    readonly service: Service,
    readonly gallery: Gallery,
  ) {
    this.#playground = new Playground(service, (seen) => this.#seen(seen));
    addEventListener("hashchange", () => {
      this.#came = true;
      this.follow();
    });
    part("viewer-close").addEventListener("click", () => this.#dialog.close());
    // Also by Esc.
    this.#dialog.addEventListener("close", () => this.#left());
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    part("delete").addEventListener("click", () => this.#count());
    part("delete-no").addEventListener("click", () => this.#keep());
    part("delete-yes").addEventListener("click", () => this.#delete());
  }

  /** Opens the picture that the address names, or closes. */
  async follow(): Promise<void> {
    const key = location.hash.slice(1);
    if (!key) {
      if (this.#dialog.open) this.#dialog.close();
      return;
    }
    this.#begin(key);
    // Another may be opened meanwhile.
    const current = () => location.hash.slice(1) === key;
    try {
      if (!KEY.test(key)) throw new Refusal("This is no picture's address.", 0);
      const picture = this.gallery.get(key) ?? (await this.service.facts(key));
      if (current()) this.#open(picture);
    } catch (error) {
      if (!current()) return;
      const trouble = part("viewer-trouble");
      trouble.hidden = false;
      trouble.textContent = message(error);
    }
  }

  #begin(key: string): void {
    this.#playground.close();
    this.#picture = null;
    for (const id of ["viewer-trouble", "viewer-body", "viewer-gone"]) part(id).hidden = true;
    part("viewer-name").textContent = key.slice(key.lastIndexOf("/") + 1);
    part("viewer-facts").textContent = "";
    if (!this.#dialog.open) this.#dialog.showModal();
    part("viewer-name").focus();
  }

  #open(picture: Picture): void {
    this.#picture = picture;
    this.#shown = picture.key;
    part("viewer-name").textContent = picture.name;
    part("viewer-facts").textContent = [
      picture.width ? `${picture.width} × ${picture.height}` : "",
      format(picture.content_type),
      size(picture.bytes),
      new Date(picture.uploaded).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" }),
    ]
      .filter(Boolean)
      .join(" · ");
    this.#keep();
    const body = part("viewer-body");
    body.hidden = false;
    // A PDF has no sizes.
    const rendered = Object.keys(picture.urls).length > 0;
    body.classList.toggle("plain", !rendered);
    if (rendered) this.#playground.open(picture);
    else show({ URL: picture.url, curl: `curl -O '${picture.url}'` });
  }

  #seen(seen: Seen): void {
    this.#shown = here(seen.picture, seen.signed.url);
    show(copies(seen));
  }

  #left(): void {
    this.#playground.close();
    const gone = this.#picture !== null && !this.gallery.get(this.#picture.key);
    this.#picture = null;
    if (location.hash) {
      if (this.#came) history.back();
      else history.replaceState(null, "", location.pathname + location.search);
    }
    this.#came = false;
    if (gone) this.gallery.focus();
  }

  /** Asks once more, and says how much it is. */
  async #count(): Promise<void> {
    await this.#tried(async (picture) => {
      const counts = await this.service.delete(picture.key, "count");
      if (picture !== this.#picture) return;
      part("end-told").textContent = `This deletes ${counted(counts)}. It cannot be undone.`;
      this.#ask(true);
      part("delete-no").focus();
    });
  }

  #keep(): void {
    const focused = part("delete-no").parentElement?.contains(document.activeElement);
    part("end-told").textContent = "The original goes, and every copy of it in every size.";
    this.#ask(false);
    if (focused) part("delete").focus();
  }

  #ask(asked: boolean): void {
    part("delete").hidden = asked;
    part("delete-yes").hidden = part("delete-no").hidden = !asked;
  }

  async #delete(): Promise<void> {
    await this.#tried(async (picture) => {
      const counts = await this.service.delete(picture.key, "really");
      this.gallery.remove(picture.key);
      if (picture !== this.#picture) return;
      this.#playground.close();
      // It is gone, whatever this tells.
      const look = await this.service.look(this.#shown).catch(() => null);
      if (picture !== this.#picture) return;
      part("viewer-body").hidden = true;
      const gone = part("viewer-gone");
      gone.hidden = false;
      within(gone, "p").textContent = `Gone: ${counted(counts)}.`;
      within(gone, ".hint").textContent = look ? `Its address answers ${look.status} now.` : "";
      part("viewer-close").focus();
    });
  }

  async #tried(work: (picture: Picture) => Promise<void>): Promise<void> {
    const picture = this.#picture;
    if (!picture) return;
    try {
      await work(picture);
    } catch (error) {
      if (error instanceof Refusal && error.status === 404) this.gallery.remove(picture.key);
      if (picture !== this.#picture) return;
      this.#keep();
      part("end-told").textContent = message(error);
    }
  }
}

function counted({ originals, results, website, edge }: Counts): string {
  const many = (number: number, one: string, more: string) => `${number} ${number === 1 ? one : more}`;
  return [
    many(originals, "original", "originals"),
    many(results + website, "rendered size", "rendered sizes"),
    many(edge, "copy in the edge's cache", "copies in the edge's cache"),
  ].join(", ");
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
