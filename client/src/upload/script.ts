// The plain script: makes widgets of what the page has, and of what is added to it later.
import { ThumbstackUpload } from "./index";

declare global {
  interface Window {
    ThumbstackUpload: typeof ThumbstackUpload;
  }
}

window.ThumbstackUpload = ThumbstackUpload;
// An element without a signing URL uses the service that this script is from.
const from = (document.currentScript as HTMLScriptElement | null)?.src;
const start = () => ThumbstackUpload.start(document, from ? new URL("/generate_policy", from).href : "");

function begin(): void {
  start();
  const added = (changes: MutationRecord[]) => changes.some((change) => change.addedNodes.length) && start();
  new MutationObserver(added).observe(document.documentElement, { childList: true, subtree: true });
}

if (document.readyState === "loading") {
  document.addEventListener("DOMContentLoaded", begin);
} else {
  begin();
}
