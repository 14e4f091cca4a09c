/** Take the origin of a script as the service's. */
export declare function comeFrom(script: string): void;
/** The address of a variant that everybody may see: a preset, its options, or what ALLOWED_OPTIONS lists. */
export declare function address(key: string, options: string, base?: string): string;
/** A `srcset` of presets, or of options, with the width in pixels that each comes out in: `{ MI: 400, BI: 1500 }`. */
export declare function srcset(key: string, widths: Record<string, number>, base?: string): string;
