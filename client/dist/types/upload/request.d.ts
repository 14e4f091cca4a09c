/** Trouble with a request: the service's refusal by its code, or `unreachable` where there was no answer. */
export declare class UploadError extends Error {
    readonly code: string;
    readonly status: number;
    /** What the service said. */
    readonly detail: string;
    /** Seconds that the service asks to wait. */
    readonly retryAfter: number;
    /** The most bytes that the service takes, where that is why. */
    readonly maxBytes: number;
    constructor(code: string, status?: number, 
    /** What the service said. */
    detail?: string, 
    /** Seconds that the service asks to wait. */
    retryAfter?: number, 
    /** The most bytes that the service takes, where that is why. */
    maxBytes?: number);
    /** It may work when it is tried again as it is. */
    get passes(): boolean;
}
/** How often, and after which pauses, trouble that may pass is met again. */
export interface Patience {
    retries: number;
    delay: number;
    /** How often where nobody answers, if not as often. */
    unreachable?: number;
}
/** Milliseconds before the next try: twice as long each time, and not all pages in the same moment. */
export declare function backoff(tried: number, delay: number, retryAfter?: number, chance?: number): number;
/** Try until it works, or the trouble is one that stays, or patience ends; it does not while there is no network. */
export declare function persistently<T>(attempt: () => Promise<T>, { retries, delay, unreachable }: Patience, signal: AbortSignal, waits: (error: UploadError, milliseconds: number) => void): Promise<T>;
/** POST a few fields and read the answer; a status that is no success is thrown. */
export declare function ask(url: string, fields: URLSearchParams, signal: AbortSignal): Promise<Record<string, unknown>>;
/** POST a form with a file, telling how much of it is sent. fetch could not say that. */
export declare function send(url: string, form: FormData, signal: AbortSignal, progress: (sent: number, total: number) => void): Promise<Record<string, unknown>>;
