/** Where the files of this package came from, and so the service, unless a page says otherwise. */
let home = "";

/** Take the origin of a script as the service's. */
export function comeFrom(script: string): void {
  home = new URL(script).origin;
}

/** The address of a variant that everybody may see: a preset, its options, or what ALLOWED_OPTIONS lists. */
export function address(key: string, options: string, base: string = home): string {
  return `${base.replace(/\/+$/, "")}/t/${options}/u/${key}`;
}

/** A `srcset` of presets, or of options, with the width in pixels that each comes out in: `{ MI: 400, BI: 1500 }`. */
export function srcset(key: string, widths: Record<string, number>, base: string = home): string {
  return Object.entries(widths)
    .map(([options, width]) => `${address(key, options, base)} ${width}w`)
    .join(", ");
}
