import Dropzone, { type DropzoneAcceptCallback, type DropzoneFile } from "dropzone";
import { UploadError } from "./request";
/** What the widget does where Dropzone would send a form of its own. */
export interface Hands {
    /** Why a file is not taken; nothing where it is. */
    refuses(file: DropzoneFile, accepted: number): UploadError | undefined;
    /** Bring it there. */
    carries(file: DropzoneFile): Promise<unknown>;
    says(error: UploadError, file: DropzoneFile): string;
}
/** Dropzone with other hands: it keeps the files, their order and their states, and sends nothing itself. */
export declare class Zone extends Dropzone {
    hands: Hands | undefined;
    accept(file: DropzoneFile, done: DropzoneAcceptCallback): void;
    uploadFiles(files: DropzoneFile[]): void;
    /** Try once more what failed. */
    again(file: DropzoneFile): void;
    private upload;
    private fail;
}
