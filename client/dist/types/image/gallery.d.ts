/**
 * `<thumbstack-gallery preview="BI">` with `<thumbstack-img>`s in it: a grid of them, of which each opens large.
 *
 * `--thumb` (250px) and `--spacing` (10px) are how wide and how far apart; `label-close`, `label-before` and
 * `label-after` are what the buttons are called.
 */
export declare class ThumbstackGallery extends HTMLElement {
    #private;
    constructor();
    connectedCallback(): void;
    disconnectedCallback(): void;
}
