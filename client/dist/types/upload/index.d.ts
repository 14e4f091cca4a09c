/** The upload widget. */
export declare class ThumbstackUpload {
    readonly element: HTMLElement;
    constructor(element: HTMLElement);
}
