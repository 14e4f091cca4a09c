/** The upload widget. */
export class ThumbstackUpload {
  readonly element: HTMLElement;

  constructor(element: HTMLElement) {
    this.element = element;
    element.classList.add("dropzone");
  }
}
