import type { UploadError } from "./request";
/** All that the widget says. What stands in {{}} is put in. */
export interface Texts {
    /** The area's name, for who does not see it. */
    label: string;
    drop: string;
    camera: string;
    /** Of a file. */
    progress: string;
    checking: string;
    uploaded: string;
    cancel: string;
    cancelled: string;
    remove: string;
    retry: string;
    /** Of all. */
    done: string;
    formWaits: string;
    retrying: string;
    /** Why a file is not uploaded. */
    unreachable: string;
    unavailable: string;
    no_room: string;
    forbidden: string;
    ticket_refused: string;
    expired: string;
    empty_file: string;
    too_large: string;
    too_many_pixels: string;
    too_complex: string;
    unsupported_type: string;
    type_not_allowed: string;
    undecodable: string;
    unreadable: string;
    active_content: string;
    infected: string;
    maxFilesReached: string;
    unknown: string;
}
/** The words by language; others may be added. */
export declare const LANGUAGES: Record<string, Texts>;
/** The words for an element: of its language, and what the options say instead. */
export declare function textsFor(element: Element, options: Record<string, unknown>): Texts;
/** A text with its values. */
export declare function fill(text: string, values: Record<string, unknown>): string;
/** The sentence for a refusal. Where there are no words for its code, the service's own. */
export declare function sentence(texts: Texts, error: UploadError, values?: Record<string, unknown>): string;
