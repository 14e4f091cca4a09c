/**
 * A file name as addresses like it: lower case, blanks and underscores as hyphens, and of the rest only ASCII letters,
 * digits, hyphens and dots.
 */
export function cleanName(name: string): string {
  const clean = name
    .normalize("NFC")
    .toLowerCase()
    .replace(/[\s_]/g, "-")
    .replace(/[^a-z0-9.-]/g, "");
  return /^[.-]*(\.|$)/.test(clean) ? `file${clean.replace(/^[.-]*(?=\.|$)/, "")}` : clean;
}

/** A name's part before its last dot, and the one behind it. */
export function splitName(name: string): [stem: string, extension: string] {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? [name.slice(0, dot), name.slice(dot + 1)] : [name, ""];
}
