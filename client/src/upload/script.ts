import { ThumbstackUpload } from "./index";

declare global {
  interface Window {
    ThumbstackUpload: typeof ThumbstackUpload;
  }
}

window.ThumbstackUpload = ThumbstackUpload;
