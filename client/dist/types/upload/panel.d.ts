import type Dropzone from "dropzone";
import type { DropzoneFile } from "dropzone";
import { type Texts } from "./texts";
/** A file's line. `progress` with its own role; the picture is drawn, so that no page needs to allow data: or blob:. */
export declare const LINE = "<li class=\"dz-preview dz-file-preview\">\n<span class=\"dz-image\" aria-hidden=\"true\"></span>\n<span class=\"dz-details\"><span class=\"dz-filename\" data-dz-name></span> <span class=\"dz-size\" data-dz-size></span>\n<progress class=\"dz-progress\" max=\"100\" value=\"0\" data-dz-uploadprogress></progress>\n<span class=\"dz-state\"></span><span class=\"dz-error-message\" data-dz-errormessage></span></span>\n<button class=\"dz-retry\" type=\"button\" hidden></button><button class=\"dz-remove\" type=\"button\">\u00D7</button></li>";
/** What stands in the widget's element: the buttons, a line for each file, and what is said to a screen reader. */
export declare class Panel {
    private readonly element;
    private readonly texts;
    readonly list: HTMLUListElement;
    private readonly said;
    private readonly message;
    private readonly queue;
    private drawing;
    private breath;
    private readonly attributes;
    /** Takes itself away what it has brought, but not what the page has. */
    private readonly own;
    constructor(element: HTMLElement, texts: Texts);
    /** A second button, which opens the camera where there is one. */
    addCamera(zone: Dropzone): void;
    /** Name what is in a new line. */
    furnish(file: DropzoneFile, remove: () => void, retry: () => void): void;
    /** Say in its line how a file is doing. */
    state(file: DropzoneFile, text: string): void;
    /** It is over, well or not; with `again` it may be tried again. */
    settle(file: DropzoneFile, text: string, again?: boolean): void;
    /** Begin anew with a file whose upload failed. */
    renew(file: DropzoneFile): void;
    /** Keep the keyboard's place where a line goes away. */
    leave(file: DropzoneFile): void;
    /** Say it now, over what is being read. */
    warn(text: string): void;
    /** Say it when there is a moment of quiet; of several the last. */
    tell(text: () => string): void;
    /** Draw a file's picture into its line, one after the other. */
    draw(file: DropzoneFile): void;
    destroy(): void;
    private describe;
    private add;
    private drawAll;
    private label;
}
