import type { DropzoneFile, DropzoneOptions } from "dropzone";
import { Delivery, type Picture, service } from "./delivery";
import { FormFields } from "./form";
import { ALL_TYPES, refusalCode } from "./limits";
import { cleanName, splitName } from "./names";
import type { Refusal, Upload, UploadCallback, UploadEvents, UploadOptions } from "./options";
import { LINE, Panel } from "./panel";
import { backoff, UploadError } from "./request";
import { fill, LANGUAGES, sentence, type Texts, textsFor } from "./texts";
import { Zone } from "./zone";

export type { Refusal, Texts, Upload, UploadCallback, UploadEvents, UploadOptions };
export { backoff, cleanName, LANGUAGES };

const MEBIBYTE = 1024 * 1024;
/** Events about progress, in milliseconds for each file. */
const PROGRESS_EVERY = 200;
/** Options that an element may have as attributes. */
const ATTRIBUTES = ["acceptedFiles", "maxFiles", "maxFilesize", "capture", "lang"];
const started = new WeakMap<HTMLElement, ThumbstackUpload>();
/** Elements whose attributes are wrong: said once. */
const broken = new WeakSet<HTMLElement>();
let defaultSigningUrl = "";

/** What jQuery hands around. */
interface ElementList {
  readonly length: number;
  readonly [index: number]: HTMLElement;
}

/** An area that takes pictures and uploads them straight to the storage. */
export class ThumbstackUpload {
  readonly element: HTMLElement;
  private readonly texts: Texts;
  private readonly zone: Zone;
  private readonly panel: Panel;
  private readonly fields: FormFields | undefined;
  private readonly delivery: Delivery;
  private readonly uploads = new Map<DropzoneFile, Upload>();
  private readonly cancels = new Map<DropzoneFile, AbortController>();
  private readonly form: HTMLFormElement | null;
  /** With what the form was sent while files were under way. */
  private submitter: HTMLElement | null | undefined;

  /** An element, a selector or a jQuery object; options, of which data attributes give some; who is told of each upload. */
  constructor(
    element: HTMLElement | ElementList | string,
    options: UploadOptions = {},
    private readonly callback?: UploadCallback,
  ) {
    this.element = elementOf(element);
    if (started.has(this.element)) {
      throw new Error("ThumbstackUpload: this element is one already.");
    }
    const chosen: UploadOptions = { ...attributesOf(this.element), ...options };
    if (chosen.acceptedFiles !== undefined && typeof chosen.acceptedFiles !== "string") {
      throw new TypeError("ThumbstackUpload: acceptedFiles must be a text, such as image/*,application/pdf.");
    }
    this.texts = textsFor(this.element, chosen);
    const { apiKey, signingUrl } = chosen;
    const patience = { retries: chosen.retries ?? 4, delay: chosen.retryDelay ?? 1000 };
    this.delivery = new Delivery(
      service(apiKey ?? "", signingUrl || defaultSigningUrl),
      patience,
      chosen.direct !== false,
    );
    this.element.classList.add("dropzone");
    this.panel = new Panel(this.element, this.texts);
    this.zone = new Zone(this.element, this.forDropzone(chosen));
    this.zone.hands = {
      refuses: (file, accepted) => this.refuses(file, accepted),
      carries: (file) => this.carries(file),
      says: (error, file) => this.says(error, file),
    };
    if (!callback) {
      this.fields = new FormFields(this.element);
    }
    this.form = this.element.closest("form");
    this.listen(chosen);
    started.set(this.element, this);
  }

  /** The widget of an element. */
  static of(element: HTMLElement): ThumbstackUpload | undefined {
    return started.get(element);
  }

  /** Make widgets of all elements with `data-apikey` and `data-signingurl`; `otherwise` is an empty one's signing URL. */
  static start(root: ParentNode = document, otherwise = ""): void {
    defaultSigningUrl = otherwise || defaultSigningUrl;
    for (const element of root.querySelectorAll<HTMLElement>("[data-apikey][data-signingurl]")) {
      if (!started.has(element) && !broken.has(element)) {
        try {
          new ThumbstackUpload(element);
        } catch (error) {
          // The others are none the worse for it.
          broken.add(element);
          console.error(error);
        }
      }
    }
  }

  /** Upload files that come from elsewhere. */
  add(...files: File[]): void {
    for (const file of files) {
      this.zone.addFile(file as DropzoneFile);
    }
  }

  /** Listen to an event by its short name. */
  on<K extends keyof UploadEvents>(name: K, listener: (detail: UploadEvents[K]) => void): this {
    this.element.addEventListener(`thumbstack:${name}`, (event) => listener((event as CustomEvent).detail));
    return this;
  }

  /** Cancel what is under way, and leave the element as it was. */
  destroy(): void {
    this.zone.destroy();
    this.panel.destroy();
    this.fields?.destroy();
    document.removeEventListener("paste", this.pasted);
    this.form?.removeEventListener("submit", this.submitted, true);
    this.element.classList.remove("dropzone", "dz-started", "dz-unlisted", "dz-max-files-reached");
    started.delete(this.element);
  }

  private forDropzone(chosen: UploadOptions): DropzoneOptions {
    const { apiKey, signingUrl, lang, texts, retries, retryDelay, camera, paste, direct, ...dropzones } = chosen;
    const place = chosen.previewsContainer;
    if (place instanceof HTMLElement || typeof place === "string") {
      (place instanceof HTMLElement ? place : document.querySelector(place))?.append(this.panel.list);
    }
    // Without lines for the files, what is said is all that there is to see.
    this.element.classList.toggle("dz-unlisted", place === false || chosen.disablePreviews === true);
    return {
      acceptedFiles: ALL_TYPES,
      // The service knows its own limit, and each ticket is asked for with the file's size.
      maxFilesize: 0,
      parallelUploads: 25,
      previewTemplate: LINE,
      dictFileSizeUnits: { tb: "TB", gb: "GB", mb: "MB", kb: "kB", b: "B" },
      hiddenInputContainer: this.element,
      ...dropzones,
      dictUploadCanceled: this.texts.cancelled,
      previewsContainer: place === false ? false : this.panel.list,
      // Nothing goes there.
      url: "about:blank",
      uploadMultiple: false,
      chunking: false,
      addRemoveLinks: false,
      // Drawn by the panel: Dropzone's are data: addresses, and hold each file in memory twice.
      createImageThumbnails: false,
    } as DropzoneOptions;
  }

  private listen(chosen: UploadOptions): void {
    const zone = this.zone;
    zone.on("addedfile", (file: DropzoneFile) => {
      this.element.classList.add("dz-started");
      this.panel.furnish(
        file,
        () => {
          this.panel.leave(file);
          zone.removeFile(file);
        },
        () => this.retry(file),
      );
      if (chosen.createImageThumbnails !== false) {
        this.panel.draw(file);
      }
      this.tell("add", { file });
    });
    zone.on("success", (file: DropzoneFile, picture: unknown) => this.succeeded(file, picture as Picture));
    zone.on("error", (file: DropzoneFile, message: string) => this.failed(file, message));
    zone.on("canceled", (file: DropzoneFile) => this.cancels.get(file)?.abort());
    zone.on("removedfile", (file: DropzoneFile) => {
      this.uploads.delete(file);
      this.fields?.remove(file);
      this.tell("remove", { file });
    });
    zone.on("queuecomplete", () => this.finished());
    this.throttleProgress();
    if (chosen.camera === true || (chosen.camera !== false && matchMedia("(pointer: coarse)").matches)) {
      this.panel.addCamera(zone);
    }
    if (chosen.paste !== false) {
      document.addEventListener("paste", this.pasted);
    }
    if (this.fields) {
      this.form?.addEventListener("submit", this.submitted, true);
    }
  }

  private throttleProgress(): void {
    const told = new WeakMap<File, number>();
    this.zone.on("uploadprogress", (file: DropzoneFile, progress: number) => {
      const now = performance.now();
      if (progress === 100 || now - (told.get(file) ?? -PROGRESS_EVERY) >= PROGRESS_EVERY) {
        told.set(file, now);
        this.tell("progress", { file, progress });
      }
    });
  }

  private refuses(file: DropzoneFile, accepted: number): UploadError | undefined {
    const { maxFiles, maxFilesize, acceptedFiles } = this.zone.options;
    if (maxFiles !== null && accepted >= maxFiles) {
      return new UploadError("maxFilesReached");
    }
    const code = refusalCode(file, maxFilesize * MEBIBYTE || Number.POSITIVE_INFINITY, acceptedFiles);
    return code ? new UploadError(code) : undefined;
  }

  private says(error: UploadError, file: DropzoneFile): string {
    const { maxFiles, maxFilesize } = this.zone.options;
    const [filesize, limit] = [file.size, error.maxBytes].map((bytes) => Math.round((10 * bytes) / MEBIBYTE) / 10);
    return sentence(this.texts, error, {
      name: file.name,
      filesize,
      maxFilesize: limit || maxFilesize,
      maxFiles,
      statusCode: error.status,
    });
  }

  private carries(file: DropzoneFile): Promise<Picture> {
    const cancel = new AbortController();
    this.cancels.set(file, cancel);
    const under = this.delivery.deliver(file, file.upload.filename, cancel.signal, {
      progress: (percent) => {
        this.panel.state(file, "");
        file.upload.bytesSent = (percent * file.size) / 100;
        this.zone.emit("uploadprogress", file, percent, file.upload.bytesSent);
      },
      checking: () => this.panel.state(file, this.texts.checking),
      waits: (error, milliseconds) => {
        const seconds = Math.ceil(milliseconds / 1000);
        this.panel.state(file, fill(this.texts.retrying, { reason: this.says(error, file), seconds }));
      },
    });
    return under.finally(() => this.cancels.delete(file));
  }

  private succeeded(file: DropzoneFile, picture: Picture): void {
    const clean = cleanName(file.upload.filename);
    const [name, extension] = splitName(clean);
    const upload: Upload = {
      originalName: file.name,
      orginalName: file.name,
      cleanName: clean,
      name,
      extension,
      size: file.size,
      publicUrl: picture.url,
      filePath: picture.key.split("/").slice(2).join("/"),
      key: picture.key,
      picture,
    };
    this.uploads.set(file, upload);
    this.panel.settle(file, this.texts.uploaded);
    this.panel.tell(() => {
      const files = this.zone.files.filter((file) => file.status !== "canceled");
      return fill(this.texts.done, { done: this.uploads.size, total: files.length });
    });
    this.fields?.add(file, upload);
    this.tell("upload", { file, upload });
    this.callback?.(upload);
  }

  private failed(file: DropzoneFile, message: string): void {
    const refusal: UploadError | undefined = file.status === "error" ? file.refusal : undefined;
    // Cancelled by its owner, or refused by the page's own `accept`.
    const { code, status, detail } = refusal ?? { code: file.status, status: 0, detail: "" };
    const stays = !refusal || (status === 0 && code !== "unreachable") || [413, 415, 422].includes(status);
    this.panel.settle(file, "", !stays);
    if (file.status === "canceled") {
      return;
    }
    // What to do with the form now, its owner decides.
    this.submitter = undefined;
    this.panel.warn(`${file.name}: ${message}`);
    this.tell("error", { file, error: { code, message, status, detail } });
  }

  private retry(file: DropzoneFile): void {
    this.panel.renew(file);
    this.zone.again(file);
  }

  private finished(): void {
    this.tell("done", { uploads: [...this.uploads.values()] });
    const submitter = this.submitter;
    this.submitter = undefined;
    if (submitter !== undefined) {
      this.form?.requestSubmit(submitter);
    }
  }

  /** What is pasted belongs to the area that has the focus, or to the only one. */
  private readonly pasted = (event: ClipboardEvent): void => {
    const areas = Array.from(document.querySelectorAll<HTMLElement>(".dropzone")).filter((area) => started.has(area));
    const focused = areas.find((area) => area.contains(document.activeElement));
    const typing = (event.target as Element | null)?.closest?.("input, textarea, [contenteditable]");
    const mine = focused ? focused === this.element : !typing && areas.length === 1 && areas[0] === this.element;
    if (mine && event.clipboardData?.files.length) {
      event.preventDefault();
      this.zone.paste(event);
    }
  };

  private readonly submitted = (event: SubmitEvent): void => {
    if (this.zone.getActiveFiles().length) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.submitter = event.submitter;
      this.panel.warn(this.texts.formWaits);
    }
  };

  private tell<K extends keyof UploadEvents>(name: K, detail: UploadEvents[K]): void {
    this.element.dispatchEvent(new CustomEvent(`thumbstack:${name}`, { bubbles: true, detail }));
  }
}

function elementOf(given: HTMLElement | ElementList | string): HTMLElement {
  const found = typeof given === "string" ? document.querySelector(given) : given;
  const element = found && "nodeType" in found ? found : (found as ElementList | null)?.[0];
  if (!(element instanceof HTMLElement)) {
    throw new TypeError("ThumbstackUpload: there is no such element.");
  }
  return element;
}

function attributesOf(element: HTMLElement): UploadOptions {
  const { apikey, signingurl } = element.dataset;
  const options: UploadOptions = {};
  if (apikey !== undefined) {
    options.apiKey = apikey;
  }
  if (signingurl !== undefined) {
    options.signingUrl = signingurl;
  }
  for (const option of ATTRIBUTES) {
    const value = element.dataset[option.toLowerCase()];
    if (value !== undefined) {
      options[option] = option.startsWith("max") ? Number(value) : value;
    }
  }
  return options;
}
