/**
 * `<thumbstack-img key="o/..." preset="MI" alt="...">`: an `<img>` of a picture, in the page itself, so that its styles reach it.
 *
 * `preset` names one preset, or several with the width that each comes out in, `SI 200w, MI 400w`, as a srcset has it.
 * `dimensions`, `quality` and `filters` ask for other options, which ALLOWED_OPTIONS must list.
 */
export declare class ThumbstackImg extends HTMLElement {
    #private;
    static readonly observedAttributes: string[];
    readonly image: HTMLImageElement;
    connectedCallback(): void;
    attributeChangedCallback(): void;
    /** The picture in another variant. */
    address(options: string): string;
}
