import { part, stamp, within } from "./part";
import type { Seen } from "./playground";

const SHOWN_MS = 2000;

/** A variant in the words of those who want to use it. */
export function copies(seen: Seen): Record<string, string> {
  const { picture, signed, width, height } = seen;
  const alt = escaped(picture.name);
  const image = [
    `src="${escaped(signed.url)}"`,
    ...(signed.srcset
      ? [`srcset="${escaped(signed.srcset)}"`, `sizes="(max-width: ${width}px) 100vw, ${width}px"`]
      : []),
    `width="${width}" height="${height}" alt="${alt}" loading="lazy"`,
  ];
  const file = picture.key.slice(picture.key.lastIndexOf("/") + 1);
  return {
    ...(seen.open ? { "URL for everybody": seen.open } : {}),
    URL: signed.url,
    "<img srcset>": `<img ${image.join("\n  ")}>`,
    "<picture>": signed.picture,
    curl: `curl -H 'Accept: ${seen.type}' -o '${file.slice(0, file.lastIndexOf("."))}.${extension(seen.type)}' '${signed.url}'`,
  };
}

/** Shows them, each with a button that copies it. */
export function show(texts: Record<string, string>): void {
  const place = part("copies");
  const made = Object.entries(texts).map(([name, text]) => {
    const copy = stamp("copy");
    within(copy, "h4").textContent = name;
    within(copy, "code").textContent = text;
    within(copy, "pre").setAttribute("aria-label", name);
    const button = within<HTMLButtonElement>(copy, "button");
    const idle = "Copy";
    button.textContent = idle;
    button.setAttribute("aria-label", `Copy ${name}`);
    button.addEventListener("click", async () => {
      button.textContent = (await copied(text, copy)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (button.textContent = idle), SHOWN_MS);
    });
    return copy;
  });
  place.replaceChildren(part("copies-title"), ...made);
}

/** Puts a text on the clipboard; where the browser does not allow it, as over plain HTTP, the old way, or selects it. */
async function copied(text: string, place: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const selection = getSelection();
    selection?.selectAllChildren(within(place, "code"));
    return document.execCommand("copy");
  }
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/"/g, "&quot;").replace(/</g, "&lt;");
}

function extension(type: string): string {
  const name = type.replace("image/", "");
  return name === "jpeg" ? "jpg" : name;
}
