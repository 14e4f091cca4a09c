import type Dropzone from "dropzone";
import type { DropzoneFile } from "dropzone";
import { splitName } from "./names";
import { fill, type Texts } from "./texts";

/** Larger files get no thumbnail, as decoding them takes memory. */
const MAX_THUMBNAIL_BYTES = 20 * 1024 * 1024;
const THUMBNAIL_HEIGHT = 160;
/** So long many files are waited for, before their number is said. */
const BREATH = 1000;

/** A file's line. `progress` with its own role; the picture is drawn, so that no page needs to allow data: or blob:. */
export const LINE = `<li class="dz-preview dz-file-preview">
<span class="dz-image" aria-hidden="true"></span>
<span class="dz-details"><span class="dz-filename" data-dz-name></span> <span class="dz-size" data-dz-size></span>
<progress class="dz-progress" max="100" value="0" data-dz-uploadprogress></progress>
<span class="dz-state"></span><span class="dz-error-message" data-dz-errormessage></span></span>
<button class="dz-retry" type="button" hidden></button><button class="dz-remove" type="button">×</button></li>`;

/** Make an element with its class and attributes. */
function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  className: string,
  attributes: Record<string, string> = {},
): HTMLElementTagNameMap[K] {
  const made = document.createElement(name);
  made.className = className;
  for (const [attribute, value] of Object.entries(attributes)) {
    made.setAttribute(attribute, value);
  }
  return made;
}

/** What stands in the widget's element: the buttons, a line for each file, and what is said to a screen reader. */
export class Panel {
  readonly list: HTMLUListElement;
  private readonly said: Record<"polite" | "assertive", HTMLElement>;
  private readonly message: HTMLElement;
  private readonly queue: DropzoneFile[] = [];
  private drawing = false;
  private breath = 0;
  private readonly attributes: string[] = [];
  /** Takes itself away what it has brought, but not what the page has. */
  private readonly own: Element[] = [];

  constructor(
    private readonly element: HTMLElement,
    private readonly texts: Texts,
  ) {
    const found = element.querySelector<HTMLElement>(".dz-message");
    this.message = found ?? this.add(make("div", "dz-message dz-default"));
    if (!found) {
      const button = make("button", "dz-button", { type: "button" });
      button.textContent = texts.drop;
      this.message.append(button);
    }
    this.list = this.add(make("ul", "dz-previews dropzone-previews"));
    this.said = {
      polite: this.add(make("p", "dz-said", { role: "status" })),
      assertive: this.add(make("p", "dz-said", { role: "alert" })),
    };
    if (!element.hasAttribute("role")) {
      this.describe("role", "group");
    }
    if (!element.hasAttribute("aria-label") && !element.hasAttribute("aria-labelledby")) {
      this.describe("aria-label", texts.label);
    }
  }

  /** A second button, which opens the camera where there is one. */
  addCamera(zone: Dropzone): void {
    const input = make("input", "dz-camera-input", { type: "file", accept: "image/*", capture: "environment" });
    input.hidden = true;
    input.addEventListener("change", () => {
      for (const file of Array.from(input.files ?? [])) {
        zone.addFile(file as DropzoneFile);
      }
      input.value = "";
    });
    const button = make("button", "dz-camera", { type: "button" });
    button.textContent = this.texts.camera;
    button.addEventListener("click", (event) => {
      // The area around it opens the choice of files.
      event.stopPropagation();
      input.click();
    });
    this.message.append(button);
    this.own.push(button, this.add(input));
  }

  /** Name what is in a new line. */
  furnish(file: DropzoneFile, remove: () => void, retry: () => void): void {
    const [progress, again] = [find(file, ".dz-progress"), find(file, ".dz-retry")];
    progress?.setAttribute("aria-label", fill(this.texts.progress, { name: file.name }));
    if (again) {
      again.textContent = this.texts.retry;
      again.addEventListener("click", retry);
    }
    find(file, ".dz-remove")?.addEventListener("click", remove);
    // On narrow screens it is cut off.
    find(file, ".dz-filename")?.setAttribute("title", file.name);
    this.label(file, this.texts.cancel);
    const image = find(file, ".dz-image");
    if (image) {
      image.textContent = splitName(file.name)[1].slice(0, 4).toUpperCase();
    }
  }

  /** Say in its line how a file is doing. */
  state(file: DropzoneFile, text: string): void {
    const state = find(file, ".dz-state");
    if (state) {
      state.textContent = text;
    }
  }

  /** It is over, well or not; with `again` it may be tried again. */
  settle(file: DropzoneFile, text: string, again = false): void {
    this.state(file, text);
    this.label(file, this.texts.remove);
    for (const [selector, hidden] of [
      [".dz-progress", true],
      [".dz-retry", !again],
    ] as const) {
      const part = find(file, selector);
      if (part) {
        if (hidden && part === document.activeElement) {
          find(file, ".dz-remove")?.focus();
        }
        part.hidden = hidden;
      }
    }
  }

  /** Begin anew with a file whose upload failed. */
  renew(file: DropzoneFile): void {
    file.previewElement?.classList.remove("dz-error", "dz-complete", "dz-processing");
    this.settle(file, "");
    this.label(file, this.texts.cancel);
    const [progress, problem] = [find(file, ".dz-progress"), find(file, ".dz-error-message")];
    if (progress instanceof HTMLProgressElement) {
      [progress.hidden, progress.value] = [false, 0];
    }
    if (problem) {
      problem.textContent = "";
    }
  }

  /** Keep the keyboard's place where a line goes away. */
  leave(file: DropzoneFile): void {
    const line = file.previewElement;
    if (line?.contains(document.activeElement)) {
      const shown = Array.from(this.list.children).filter((other) => other === line || other.getClientRects().length);
      const at = shown.indexOf(line);
      const next = (shown[at + 1] ?? shown[at - 1])?.querySelector<HTMLElement>(".dz-remove");
      (next ?? this.message.querySelector<HTMLElement>("button"))?.focus();
    }
  }

  /** Say it now, over what is being read. */
  warn(text: string): void {
    this.said.assertive.textContent = text;
  }

  /** Say it when there is a moment of quiet; of several the last. */
  tell(text: () => string): void {
    this.breath ||= window.setTimeout(() => {
      this.breath = 0;
      this.said.polite.textContent = text();
    }, BREATH);
  }

  /** Draw a file's picture into its line, one after the other. */
  draw(file: DropzoneFile): void {
    this.queue.push(file);
    if (!this.drawing) {
      this.drawing = true;
      void this.drawAll();
    }
  }

  destroy(): void {
    clearTimeout(this.breath);
    for (const element of this.own) {
      element.remove();
    }
    for (const attribute of this.attributes) {
      this.element.removeAttribute(attribute);
    }
  }

  private describe(attribute: string, value: string): void {
    this.attributes.push(attribute);
    this.element.setAttribute(attribute, value);
  }

  private add<T extends HTMLElement>(element: T): T {
    this.own.push(element);
    this.element.append(element);
    return element;
  }

  private async drawAll(): Promise<void> {
    for (let file = this.queue.shift(); file; file = this.queue.shift()) {
      const place = find(file, ".dz-image");
      if (!place?.isConnected || file.size > MAX_THUMBNAIL_BYTES) {
        continue;
      }
      try {
        const bitmap = await createImageBitmap(file, { resizeHeight: THUMBNAIL_HEIGHT, resizeQuality: "medium" });
        const canvas = make("canvas", "dz-thumbnail");
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
        canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
        bitmap.close();
        place.replaceChildren(canvas);
      } catch {
        // A browser that cannot show it: its type stands there.
      }
    }
    this.drawing = false;
  }

  private label(file: DropzoneFile, text: string): void {
    const named = fill(text, { name: file.name });
    const button = find(file, ".dz-remove");
    button?.setAttribute("aria-label", named);
    button?.setAttribute("title", named);
  }
}

function find(file: DropzoneFile, selector: string): HTMLElement | null | undefined {
  return file.previewElement?.querySelector<HTMLElement>(selector);
}
