import { part, stamp, within } from "./part";
import { format, type Picture, paint, preset, size } from "./picture";
import type { Service } from "./service";

// What a card shows, where the installation has it.
const CARD = "card";

/** The app's pictures, the newest first, a page at a time. */
export class Gallery {
  readonly #list = part<HTMLUListElement>("gallery");
  readonly #more = part<HTMLButtonElement>("more");
  readonly #empty = part("empty");
  readonly #trouble = part("trouble");
  readonly #known = new Map<string, { picture: Picture; card: HTMLElement }>();
  #next: string | null = null;

  constructor(readonly service: Service) {
    this.#more.addEventListener("click", () => this.#show(() => this.#load(this.#next ?? "")));
  }

  /** Shows the first page; what the service says against it is for the caller. */
  async open(): Promise<void> {
    const page = await this.service.list("");
    const key = this.service.key ? "-H 'Authorization: Bearer ...' " : "";
    within(this.#empty, "code").textContent = `curl ${key}-F file=@picture.jpg ${location.origin}/`;
    this.#list.replaceChildren();
    this.#known.clear();
    this.#append(page.pictures, page.next);
  }

  /** The picture where it was shown already. */
  get(key: string): Picture | undefined {
    return this.#known.get(key)?.picture;
  }

  /** A picture that was just uploaded. */
  add(picture: Picture): void {
    this.remove(picture.key);
    const card = this.#card(picture);
    this.#list.prepend(card);
    card.classList.add("new");
    this.#told(`${picture.name} is there.`);
  }

  remove(key: string): void {
    this.#known.get(key)?.card.remove();
    this.#known.delete(key);
    this.#told("");
  }

  /** Where the keyboard goes when the picture that was open is no more. */
  focus(): void {
    part("pictures-title").focus();
  }

  async #load(after: string): Promise<void> {
    const page = await this.service.list(after);
    const first = this.#append(page.pictures, page.next);
    // The button may be gone now.
    if (!page.next) first?.querySelector("a")?.focus();
  }

  #append(pictures: Picture[], next: string | null): HTMLElement | undefined {
    const cards = pictures.filter(({ key }) => !this.#known.has(key)).map((picture) => this.#card(picture));
    this.#list.append(...cards);
    this.#next = next;
    this.#told(cards.length ? `${this.#known.size} pictures are shown.` : "");
    return cards[0];
  }

  #told(news: string): void {
    this.#more.hidden = !this.#next;
    this.#empty.hidden = this.#known.size > 0 || this.#next !== null;
    part("news").textContent = news;
  }

  #card(picture: Picture): HTMLElement {
    const card = stamp<HTMLElement>("card");
    const link = within<HTMLAnchorElement>(card, "a");
    link.href = `#${picture.key}`;
    const name = within(card, ".name");
    name.textContent = picture.name;
    // Long ones are cut off.
    name.title = picture.name;
    const measures = picture.width ? `${picture.width} × ${picture.height} · ` : "";
    within(card, ".hint").textContent = `${measures}${format(picture.content_type)} · ${size(picture.bytes)}`;
    const shown = CARD in picture.urls ? CARD : Object.keys(picture.urls)[0];
    const frame = within(card, ".frame");
    if (shown) paint(within<HTMLImageElement>(frame, "img"), picture, preset(picture, shown));
    else frame.textContent = format(picture.content_type);
    this.#known.set(picture.key, { picture, card });
    return card;
  }

  /** Does it, and says what went wrong, with a way to do it again. */
  async #show(work: () => Promise<void>): Promise<void> {
    this.#trouble.hidden = true;
    try {
      await work();
    } catch (error) {
      this.trouble(error, () => this.#show(work));
    }
  }

  /** What went wrong, and a button that tries again. */
  trouble(error: unknown, again: () => void): void {
    this.#trouble.hidden = false;
    within(this.#trouble, "p").textContent = error instanceof Error ? error.message : String(error);
    within<HTMLButtonElement>(this.#trouble, "button").onclick = () => {
      this.#trouble.hidden = true;
      again();
    };
  }
}
