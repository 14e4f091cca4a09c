import { part } from "./part";

const SIDES = ["left", "top", "right", "bottom"] as const;
type Side = (typeof SIDES)[number];
type Box = Record<Side, number>;

/** A part of the original, drawn on it with the pointer or typed as numbers. */
export class Cutter {
  readonly #place = part("cutter");
  readonly #image = part<HTMLImageElement>("cutter-image");
  readonly #drawn = part("cutter-box");
  readonly #fields = Object.fromEntries(SIDES.map((side) => [side, part(`part-${side}`)])) as Record<
    Side,
    HTMLInputElement
  >;
  #width = 0;
  #height = 0;

  /** `changed` hears of every other part. */
  constructor(changed: () => void) {
    let start: { x: number; y: number } | null = null;
    this.#place.addEventListener("pointerdown", (event) => {
      start = this.#at(event);
      this.#place.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.#place.addEventListener("pointermove", (event) => {
      if (!start) return;
      const end = this.#at(event);
      const [left, right] = [start.x, end.x].sort((a, b) => a - b) as [number, number];
      const [top, bottom] = [start.y, end.y].sort((a, b) => a - b) as [number, number];
      this.#set({ left, top, right, bottom });
    });
    for (const end of ["pointerup", "pointercancel"])
      this.#place.addEventListener(end, () => {
        start = null;
        const { left, top, right, bottom } = this.#box();
        // A click is no part.
        if (right - left < 2 || bottom - top < 2) this.#whole();
        changed();
      });
    for (const field of Object.values(this.#fields)) field.addEventListener("input", () => this.#draw());
  }

  /** Begins with the whole of a picture of that size. */
  open(address: string, width: number, height: number): void {
    this.#image.src = address;
    this.#width = width;
    this.#height = height;
    for (const side of SIDES) this.#fields[side].max = String(side === "left" || side === "right" ? width : height);
    this.#whole();
  }

  show(shown: boolean): void {
    part("part").hidden = !shown;
  }

  /** As Thumbor's options have it. */
  toString(): string {
    const { left, top, right, bottom } = this.#box();
    return `${left}x${top}:${right}x${bottom}`;
  }

  #whole(): void {
    this.#set({ left: 0, top: 0, right: this.#width, bottom: this.#height });
  }

  #box(): Box {
    return Object.fromEntries(SIDES.map((side) => [side, Number(this.#fields[side].value) || 0])) as Box;
  }

  #set(box: Box): void {
    for (const side of SIDES) this.#fields[side].value = String(Math.round(box[side]));
    this.#draw();
  }

  #draw(): void {
    const { left, top, right, bottom } = this.#box();
    const percent = (value: number, of: number) => `${(100 * value) / (of || 1)}%`;
    this.#drawn.style.left = percent(left, this.#width);
    this.#drawn.style.top = percent(top, this.#height);
    this.#drawn.style.width = percent(right - left, this.#width);
    this.#drawn.style.height = percent(bottom - top, this.#height);
  }

  /** A place on the screen, in pixels of the original. */
  #at(event: PointerEvent): { x: number; y: number } {
    const seen = this.#image.getBoundingClientRect();
    const along = (at: number, start: number, length: number) => Math.min(1, Math.max(0, (at - start) / (length || 1)));
    return {
      x: along(event.clientX, seen.left, seen.width) * this.#width,
      y: along(event.clientY, seen.top, seen.height) * this.#height,
    };
  }
}
