import type { Upload } from "./options";
/** Puts what was uploaded into the form around the widget, as `renuoupload[<name>][<field>]`. */
export declare class FormFields {
    private readonly element;
    private readonly groups;
    constructor(element: HTMLElement);
    add(file: File, upload: Upload): void;
    remove(file: File): void;
    destroy(): void;
    /** Two files of one name are two groups: `tiger` and `tiger-2`. */
    private freeName;
}
