import type { Texts } from "./texts";
/** What an uploaded picture is told of: to the callback, in the event `upload`, and in a form's hidden inputs. */
export interface Upload {
    /** The file's own name. The second spelling is what the first version of this widget had. */
    originalName: string;
    orginalName: string;
    /** `My_Tiger Ä1.JPG` is `my-tiger-1.jpg`; `name` is that without its extension. */
    cleanName: string;
    name: string;
    extension: string;
    /** Bytes of the file as it was chosen. */
    size: number;
    /** The original's address, for everybody. */
    publicUrl: string;
    /** Folder and file within the app's folder, as `DELETE /delete_file` takes it. */
    filePath: string;
    /** The picture's key, as `POST /sign` takes it. */
    key: string;
    /** All that the service says of it: width, height, urls of the presets, placeholder, ... */
    picture: Record<string, unknown>;
}
/** Why a file is not uploaded. The codes are those of docs/api.md, and `maxFilesReached`, `unreachable`, `unreadable`, `expired`. */
export interface Refusal {
    code: string;
    /** The sentence that the page shows. */
    message: string;
    /** The answer's status; 0 where there was none. */
    status: number;
    /** What the service said, in English. */
    detail: string;
}
/** The events, `element.addEventListener("thumbstack:upload", event => event.detail)`. They bubble. */
export interface UploadEvents {
    add: {
        file: File;
    };
    /** `progress` is in percent; at most five a second for each file. */
    progress: {
        file: File;
        progress: number;
    };
    upload: {
        file: File;
        upload: Upload;
    };
    error: {
        file: File;
        error: Refusal;
    };
    remove: {
        file: File;
    };
    /** Nothing is under way any more. */
    done: {
        uploads: Upload[];
    };
}
/** What may be chosen, all of it optional. What is not named here is Dropzone's, and handed to it. */
export interface UploadOptions {
    /** The app's public key; else the element's `data-apikey`. */
    apiKey?: string;
    /** Where tickets are: `https://pictures.example.com/generate_policy`; else the element's `data-signingurl`. */
    signingUrl?: string;
    /** `en`, `de`, `fr` or `es`; else that of the page. */
    lang?: string;
    /** Other words than those of the language. Dropzone's `dict...` options work as well. */
    texts?: Partial<Texts>;
    dictDefaultMessage?: string;
    /** MIME types and extensions, parted by commas; without: what the service takes. */
    acceptedFiles?: string;
    /** The largest file, in MiB; without: what the service takes. */
    maxFilesize?: number;
    maxFiles?: number | null;
    /** Files under way at a time: 25. */
    parallelUploads?: number;
    /** How often a request is sent again that met trouble which may pass: 4. */
    retries?: number;
    /** The first pause before that, in milliseconds: 1000; each further one is twice as long. */
    retryDelay?: number;
    /** A button that opens the camera: where fingers are used (`auto`), always or never. */
    camera?: boolean | "auto";
    /** Take pictures that are pasted into the page: yes. */
    paste?: boolean;
    /** `false`: pictures go through the service at once, not straight to the storage. */
    direct?: boolean;
    [dropzoneOption: string]: unknown;
}
/** Called for each picture that is uploaded. */
export type UploadCallback = (upload: Upload) => void;
