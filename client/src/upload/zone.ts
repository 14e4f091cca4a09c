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
export class Zone extends Dropzone {
  hands: Hands | undefined;

  override accept(file: DropzoneFile, done: DropzoneAcceptCallback): void {
    const refusal = this.hands?.refuses(file, this.getAcceptedFiles().length);
    if (!refusal) {
      this.options.accept.call(this, file, done);
      return;
    }
    file.refusal = refusal;
    done(this.hands?.says(refusal, file));
    if (refusal.code === "maxFilesReached") {
      this.emit("maxfilesexceeded", file);
    }
  }

  override uploadFiles(files: DropzoneFile[]): void {
    for (const file of files) {
      void this.upload(file);
    }
  }

  /** Try once more what failed. */
  again(file: DropzoneFile): void {
    file.status = Dropzone.ADDED;
    this.accept(file, (error) => {
      if (error) {
        this.fail(file, error);
      } else {
        file.accepted = true;
        this.enqueueFile(file);
      }
    });
  }

  private async upload(file: DropzoneFile): Promise<void> {
    try {
      const answer = await this.hands?.carries(file);
      if (file.status !== Dropzone.CANCELED) {
        this.emit("uploadprogress", file, 100, file.size);
        this._finished([file], answer as string, null);
      }
    } catch (error) {
      if (file.status !== Dropzone.CANCELED) {
        const refusal = error instanceof UploadError ? error : new UploadError("unknown", 0, String(error));
        file.refusal = refusal;
        // It is not one of those that maxFiles counts.
        file.accepted = false;
        this.fail(file, this.hands?.says(refusal, file) ?? refusal.code);
      }
    }
  }

  private fail(file: DropzoneFile, message: string): void {
    this._errorProcessing([file], message);
    this._updateMaxFilesReachedClass();
  }
}
