import { Cutter } from "./cutter";
import { part, stamp, within } from "./part";
import { elsewhere, format, here, type Picture, paint, preset, presetOptions, size } from "./picture";
import { type Answer, Refusal, type Service, type Signed } from "./service";

// Whoever draws a slider wants to see where it ends.
const PATIENCE_MS = 250;
const SLIDERS = ["brightness", "contrast", "round_corner", "noise"] as const;
// The size among the options, which no part has before or behind it.
const SIZE = /(?:^|\/)-?(\d*)x-?(\d*)(?:\/|$)/;
// As the server's; it has the last word.
const MAX_SIDE = 4096;
const WIDTHS = [320, 640, 960, 1280];

/** A variant that was asked for, and what came. */
export interface Seen {
  picture: Picture;
  signed: Signed;
  /** The address that needs no signature, where there is one. */
  open: string;
  type: string;
  width: number;
  height: number;
}

/** Where one picks what a variant is like; the server signs it, or says why not. */
export class Playground {
  readonly #form = part<HTMLFormElement>("playground");
  readonly #result = part<HTMLImageElement>("result");
  readonly #options = part<HTMLInputElement>("options");
  readonly #cutter = new Cutter(() => this.#picked());
  #picture: Picture | null = null;
  #preset = "";
  #asked = new AbortController();
  #timer = 0;

  constructor(
    readonly service: Service,
    readonly seen: (seen: Seen) => void,
  ) {
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("input", (event) => (event.target === this.#options ? this.#typed() : this.#picked()));
    part("again").addEventListener("click", () => this.#ask());
  }

  /** Begins anew with a picture. */
  open(picture: Picture): void {
    this.#picture = picture;
    this.#form.reset();
    this.#cutter.open(picture.key, picture.width ?? 0, picture.height ?? 0);
    const names = Object.keys(picture.urls);
    part("presets").replaceChildren(...names.map((name) => this.#button(picture, name)));
    part<HTMLInputElement>("width").value = "600";
    this.#result.removeAttribute("src");
    this.#result.alt = picture.name;
    this.#picked(0);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#asked.abort();
    this.#picture = null;
  }

  #button(picture: Picture, name: string): HTMLButtonElement {
    const button = stamp<HTMLButtonElement>("preset");
    within(button, "span").textContent = name;
    button.dataset["preset"] = name;
    paint(within(button, "img"), picture, preset(picture, name));
    button.addEventListener("click", () => {
      this.#form.reset();
      this.#choose(presetOptions(picture, name), name, 0);
    });
    return button;
  }

  /** The options as the fields have them. */
  #picked(patience = PATIENCE_MS): void {
    const value = (id: string) => part<HTMLInputElement>(id).value.trim();
    const how = value("how");
    const sides = value("width") || value("height") ? `${value("width")}x${value("height")}` : "";
    const filters = [
      ...SLIDERS.filter((id) => value(id) !== "0").map((id) => filter(id, value(id))),
      ...(part<HTMLInputElement>("grayscale").checked ? ["grayscale()"] : []),
      ...(value("quality") ? [`quality(${value("quality")})`] : []),
      ...(value("format") ? [`format(${value("format")})`] : []),
    ];
    const options = [
      how === "part" ? String(this.#cutter) : "",
      how === "fit" && sides ? "fit-in" : "",
      sides,
      how === "smart" ? "smart" : "",
      filters.length ? `filters:${filters.join(":")}` : "",
    ];
    this.#choose(options.filter(Boolean).join("/"), "", patience);
  }

  /** The options as they were written. */
  #typed(): void {
    this.#choose(this.#options.value.trim(), "", PATIENCE_MS);
  }

  #choose(options: string, preset: string, patience: number): void {
    if (document.activeElement !== this.#options) this.#options.value = options;
    this.#preset = preset;
    this.#cutter.show(part<HTMLSelectElement>("how").value === "part");
    for (const id of SLIDERS) {
      const slider = part<HTMLInputElement>(id);
      within(slider.parentElement ?? slider, "output").textContent = slider.value === "0" ? "" : slider.value;
    }
    for (const button of this.#form.querySelectorAll<HTMLElement>("[data-preset]"))
      button.setAttribute("aria-pressed", String(button.dataset["preset"] === preset));
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#ask(), patience);
  }

  async #ask(): Promise<void> {
    const picture = this.#picture;
    if (!picture) return;
    this.#asked.abort();
    this.#asked = new AbortController();
    const { signal } = this.#asked;
    const stage = part("stage");
    stage.setAttribute("aria-busy", "true");
    try {
      const signed = await this.service.sign(this.#fields(picture), signal);
      const answer = await this.service.look(here(picture, signed.url), signal);
      if (answer.status !== 200) throw new Refusal("This picture was deleted meanwhile.", answer.status);
      await this.#show(answer);
      if (signal.aborted) return;
      const { naturalWidth: width, naturalHeight: height } = this.#result;
      part("refusal").textContent = "";
      part("verdict").replaceChildren(...verdict(answer, width, height));
      this.seen({
        picture,
        signed,
        open: this.#preset && !picture.crop ? elsewhere(picture, preset(picture, this.#preset)) : "",
        type: answer.body.type,
        width,
        height,
      });
    } catch (error) {
      if (signal.aborted) return;
      part("refusal").textContent = error instanceof Error ? error.message : String(error);
      part("verdict").replaceChildren();
    } finally {
      if (!signal.aborted) stage.setAttribute("aria-busy", "false");
    }
  }

  #fields(picture: Picture): Record<string, unknown> {
    const asked = this.#preset ? { preset: this.#preset } : { options: this.#options.value.trim() };
    const [width = 0, height = 0] = (SIZE.exec(this.#options.value)?.slice(1) ?? []).map(Number);
    const widths = (width ? [width / 2, width, width * 2] : WIDTHS).map(Math.round);
    // A srcset must not be why the picture itself is refused.
    const tallest = (other: number) => (width ? (height * other) / width : 0);
    const possible = widths.filter((other) => other > 0 && Math.max(other, tallest(other)) <= MAX_SIDE);
    return { ...asked, key: picture.key, picture: 1, widths: possible, alt: picture.name };
  }

  async #show(answer: Answer): Promise<void> {
    const before = this.#result.src;
    // Not decode(): in Firefox that ends while the image still has the size of the one before.
    const loaded = new Promise((resolve, reject) => {
      this.#result.onload = resolve;
      this.#result.onerror = reject;
    });
    this.#result.src = URL.createObjectURL(answer.body);
    if (before) URL.revokeObjectURL(before);
    await loaded.catch(() => {
      throw new Refusal(`This browser cannot show ${format(answer.body.type)}.`, answer.status);
    });
  }
}

function filter(name: string, value: string): string {
  return name === "round_corner" ? `round_corner(${value},255,255,255)` : `${name}(${value})`;
}

/** What came, and what it cost. */
function verdict(answer: Answer, width: number, height: number): Node[] {
  const cache = document.createElement("strong");
  cache.className = answer.cache === "HIT" ? "hit" : "miss";
  cache.textContent = answer.cache || "?";
  const took = /edge;dur=([\d.]+)/.exec(answer.timing)?.[1];
  const how = answer.cache === "HIT" ? "from the edge's cache" : took ? `made in ${took} ms` : "";
  const told = [`${width} × ${height}`, format(answer.body.type), size(answer.body.size), how].filter(Boolean);
  return [cache, document.createTextNode(` ${told.join(" · ")}`)];
}
