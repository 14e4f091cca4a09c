/** A picture, as the service tells of it. */
export interface Picture {
  name: string;
  key: string;
  url: string;
  content_type: string;
  width: number | null;
  height: number | null;
  bytes: number;
  uploaded: string;
  dominant_color: string | null;
  placeholder: string | null;
  urls: Record<string, string>;
  crop?: string;
}

// As long as a busy service's Retry-After.
const PAUSE_MS = 5000;
const TRIES = 4;
const UNITS = ["bytes", "kB", "MB", "GB"];

/** A number of bytes as people read it. */
export function size(bytes: number): string {
  let unit = 0;
  let left = bytes;
  for (; left >= 1000 && unit < UNITS.length - 1; unit++) left /= 1000;
  return `${unit && left < 10 ? left.toFixed(1) : Math.round(left)}\u00a0${UNITS[unit]}`;
}

/** A content type as people call it. */
export function format(type: string): string {
  const name = type.replace("image/", "").replace("application/", "").replace("+xml", "");
  return name === "webp" ? "WebP" : name.toUpperCase();
}

/** A signed address as this page asks for it: PUBLIC_URL, where it begins, may be another origin, a CDN. */
export function here(picture: Picture, address: string): string {
  const base = elsewhere(picture, "");
  return address.startsWith(base) ? address.slice(base.length) : address;
}

/** An address of this page as the world knows it. */
export function elsewhere(picture: Picture, address: string): string {
  return picture.url.slice(0, -picture.key.length) + address;
}

/** The address of a preset that everybody may see; a part chosen at publishing is only in the signed one. */
export function preset(picture: Picture, name: string): string {
  return picture.crop ? here(picture, picture.urls[name] ?? "") : `t/${name}/u/${picture.key}`;
}

/** What a preset's signed address asks for: the part between its signature and the key. */
export function presetOptions(picture: Picture, name: string): string {
  const [, ...rest] = here(picture, picture.urls[name] ?? "").split("/");
  return rest.join("/").slice(0, -picture.key.length - 1);
}

/** Shows a picture, and until it is there what is known of it; a service that is busy is asked again. */
export function paint(image: HTMLImageElement, picture: Picture, address: string): void {
  let left = TRIES;
  const again = () => {
    // Safari does not ask again for the address that has just failed.
    image.removeAttribute("src");
    image.src = address;
  };
  image.addEventListener("error", () => {
    if (--left > 0) setTimeout(again, PAUSE_MS);
  });
  const { style } = image;
  image.classList.add("awaited");
  style.backgroundColor = picture.dominant_color ?? "";
  style.backgroundImage = picture.placeholder ? `url("${picture.placeholder}")` : "";
  image.addEventListener(
    "load",
    () => {
      image.classList.remove("awaited");
      // Behind what is transparent nothing may be seen.
      style.backgroundColor = style.backgroundImage = "";
    },
    { once: true },
  );
  image.src = address;
}
