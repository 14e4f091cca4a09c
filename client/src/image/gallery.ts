import { ThumbstackImg } from "./image";

const STYLE = `
:host { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(var(--thumb, 250px), 100%), 1fr)); gap: var(--spacing, 10px) }
:host([hidden]) { display: none }
button { font: inherit; color: inherit; border: 0; background: none; cursor: pointer }
.thumb { padding: 0 }
.thumb:focus-visible, dialog button:focus-visible { outline: 2px solid; outline-offset: 2px }
::slotted(*) { display: block; pointer-events: none }
dialog { max-width: none; max-height: none; width: 100vw; height: 100vh; height: 100dvh; box-sizing: border-box; padding: 1rem; border: 0;
  background: rgb(0 0 0 / 88%); color: #fff }
dialog[open] { display: grid; grid: 3rem minmax(0, 1fr) auto / 3rem minmax(0, 1fr) 3rem; place-items: center }
dialog img { grid-area: 2 / 2; max-width: 100%; max-height: 100% }
dialog p { grid-area: 3 / 2; margin: .5rem 0 0 }
dialog button { width: 3rem; height: 3rem; font-size: 1.5rem }
.close { grid-area: 1 / 3 }
.before { grid-area: 2 / 1 }
.after { grid-area: 2 / 3 }
`;
const FRAME = `<dialog aria-labelledby="name"><button class="close">✕</button><button class="before">‹</button><img alt=""><button class="after">›</button><p id="name" aria-live="polite"></p></dialog>`;

/**
 * `<thumbstack-gallery preview="BI">` with `<thumbstack-img>`s in it: a grid of them, of which each opens large.
 *
 * `--thumb` (250px) and `--spacing` (10px) are how wide and how far apart; `label-close`, `label-before` and
 * `label-after` are what the buttons are called.
 */
export class ThumbstackGallery extends HTMLElement {
  readonly #root = this.attachShadow({ mode: "open" });
  readonly #watch = new MutationObserver(() => this.#fill());
  #at = 0;

  constructor() {
    super();
    const style = new CSSStyleSheet();
    style.replaceSync(STYLE);
    // No <style>: a page's policy may forbid it.
    this.#root.adoptedStyleSheets = [style];
    this.#root.innerHTML = FRAME;
    for (const [name, step] of [
      ["close", 0],
      ["before", -1],
      ["after", 1],
    ] as const) {
      const button = this.#find<HTMLButtonElement>(`.${name}`);
      button.addEventListener("click", () => (step ? this.#show(this.#at + step) : this.#dialog.close()));
    }
    this.#dialog.addEventListener("keydown", ({ key }) => {
      if (key === "ArrowLeft") this.#show(this.#at - 1);
      if (key === "ArrowRight") this.#show(this.#at + 1);
    });
    this.#dialog.addEventListener("click", ({ target }) => {
      if (target === this.#dialog) this.#dialog.close();
    });
  }

  connectedCallback(): void {
    for (const [name, otherwise] of [
      ["close", "Close"],
      ["before", "Before"],
      ["after", "Next"],
    ] as const)
      this.#find(`.${name}`).setAttribute("aria-label", this.getAttribute(`label-${name}`) ?? otherwise);
    this.#watch.observe(this, { childList: true });
    this.#fill();
  }

  disconnectedCallback(): void {
    this.#watch.disconnect();
  }

  get #pictures(): ThumbstackImg[] {
    return [...this.children].filter((child) => child instanceof ThumbstackImg);
  }

  get #dialog(): HTMLDialogElement {
    return this.#find("dialog");
  }

  #find<T extends HTMLElement>(selector: string): T {
    return this.#root.querySelector(selector) as T;
  }

  /** A button around each picture. */
  #fill(): void {
    for (const old of this.#root.querySelectorAll(".thumb")) old.remove();
    const buttons = this.#pictures.map((picture, at) => {
      const button = document.createElement("button");
      const slot = document.createElement("slot");
      button.className = "thumb";
      button.type = "button";
      slot.name = picture.slot = String(at);
      button.append(slot);
      button.addEventListener("click", () => {
        this.#show(at);
        this.#dialog.showModal();
      });
      return button;
    });
    this.#root.prepend(...buttons);
  }

  #show(at: number): void {
    const pictures = this.#pictures;
    this.#at = (at + pictures.length) % pictures.length;
    const picture = pictures[this.#at];
    if (!picture) return;
    const image = this.#find<HTMLImageElement>("img");
    image.src = picture.address(this.getAttribute("preview") ?? "BI");
    image.alt = picture.image.alt;
    this.#find("p").textContent = picture.image.alt;
  }
}
