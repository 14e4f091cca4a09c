import { cleanName } from "./names";
import type { Refusal, Upload, UploadCallback, UploadEvents, UploadOptions } from "./options";
import { backoff } from "./request";
import { LANGUAGES, type Texts } from "./texts";
export type { Refusal, Texts, Upload, UploadCallback, UploadEvents, UploadOptions };
export { backoff, cleanName, LANGUAGES };
/** What jQuery hands around. */
interface ElementList {
    readonly length: number;
    readonly [index: number]: HTMLElement;
}
/** An area that takes pictures and uploads them straight to the storage. */
export declare class ThumbstackUpload {
    private readonly callback?;
    readonly element: HTMLElement;
    private readonly texts;
    private readonly zone;
    private readonly panel;
    private readonly fields;
    private readonly delivery;
    private readonly uploads;
    private readonly cancels;
    private readonly form;
    /** With what the form was sent while files were under way. */
    private submitter;
    /** An element, a selector or a jQuery object; options, of which data attributes give some; who is told of each upload. */
    constructor(element: HTMLElement | ElementList | string, options?: UploadOptions, callback?: UploadCallback | undefined);
    /** The widget of an element. */
    static of(element: HTMLElement): ThumbstackUpload | undefined;
    /** Make widgets of all elements with `data-apikey` and `data-signingurl`; `otherwise` is an empty one's signing URL. */
    static start(root?: ParentNode, otherwise?: string): void;
    /** Upload files that come from elsewhere. */
    add(...files: File[]): void;
    /** Listen to an event by its short name. */
    on<K extends keyof UploadEvents>(name: K, listener: (detail: UploadEvents[K]) => void): this;
    /** Cancel what is under way, and leave the element as it was. */
    destroy(): void;
    private forDropzone;
    private listen;
    private throttleProgress;
    private refuses;
    private says;
    private carries;
    private succeeded;
    private failed;
    private retry;
    private finished;
    /** What is pasted belongs to the area that has the focus, or to the only one. */
    private readonly pasted;
    private readonly submitted;
    private tell;
}
