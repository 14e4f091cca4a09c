import { address, srcset } from "./address";

const PLAIN = ["alt", "sizes", "loading", "width", "height"];
const OWN = ["key", "preset", "dimensions", "quality", "filters", "src-base"];
const SIZE = /^(\d+)x(\d+)$/;

/**
 * `<thumbstack-img key="o/..." preset="MI" alt="...">`: an `<img>` of a picture, in the page itself, so that its styles reach it.
 *
 * `preset` names one preset, or several with the width that each comes out in, `SI 200w, MI 400w`, as a srcset has it.
 * `dimensions`, `quality` and `filters` ask for other options, which ALLOWED_OPTIONS must list.
 */
export class ThumbstackImg extends HTMLElement {
  static readonly observedAttributes = [...OWN, ...PLAIN];
  readonly image = document.createElement("img");

  connectedCallback(): void {
    if (this.image.parentNode !== this) this.replaceChildren(this.image);
    this.#show();
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#show();
  }

  /** The picture in another variant. */
  address(options: string): string {
    return address(this.#own("key"), options, this.getAttribute("src-base") ?? undefined);
  }

  #show(): void {
    const { image } = this;
    const key = this.#own("key");
    const size = SIZE.exec(this.#own("dimensions"));
    const first: Record<string, string> = {
      loading: "lazy",
      alt: "",
      ...(size ? { width: size[1] ?? "", height: size[2] ?? "" } : {}),
    };
    for (const name of PLAIN) {
      const value = this.getAttribute(name) ?? first[name];
      // In this order: `loading` and `sizes` are looked at when the address is set.
      if (value === undefined) image.removeAttribute(name);
      else image.setAttribute(name, value);
    }
    const widths = this.#widths();
    if (Object.keys(widths).length) image.srcset = srcset(key, widths, this.getAttribute("src-base") ?? undefined);
    else image.removeAttribute("srcset");
    const options = Object.keys(widths)[0] ?? (this.#own("preset") || this.#options());
    if (key && options) image.src = this.address(options);
    else image.removeAttribute("src");
  }

  /** The presets of a list, and their widths; none where it is no list. */
  #widths(): Record<string, number> {
    const parts = this.#own("preset").split(",");
    const named = parts.map((part) => /^\s*(\S+)\s+(\d+)w\s*$/.exec(part));
    return Object.fromEntries(named.flatMap((found) => (found ? [[found[1], Number(found[2])]] : [])));
  }

  #options(): string {
    const [width, height, quality] = [this.#own("width"), this.#own("height"), this.#own("quality")];
    const size = this.#own("dimensions") || (width || height ? `${width}x${height}` : "");
    const filters = [quality && `quality(${quality})`, this.#own("filters")].filter(Boolean);
    return [size, filters.length ? `filters:${filters.join(":")}` : ""].filter(Boolean).join("/");
  }

  #own(name: string): string {
    return this.getAttribute(name)?.trim() ?? "";
  }
}
