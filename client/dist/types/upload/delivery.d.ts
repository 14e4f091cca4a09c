import { type Patience, UploadError } from "./request";
/** A picture as the service tells of it. */
export interface Picture extends Record<string, unknown> {
    key: string;
    url: string;
}
/** What a delivery tells while it is under way. */
export interface Report {
    progress(percent: number): void;
    waits(error: UploadError, milliseconds: number): void;
    checking(): void;
}
/** The service, by the addresses of its routes. */
export interface Service {
    apiKey: string;
    tickets: string;
    complete: string;
    uploads: string;
}
/** Where the addresses of the other routes are, beside that of the tickets. */
export declare function service(apiKey: string, signingUrl: string): Service;
/** Brings files to the storage, each with a ticket of its own, and has them inspected. */
export declare class Delivery {
    private readonly service;
    private readonly patience;
    /** Whether the browser reaches the storage; nothing: not known yet. */
    private direct;
    constructor(service: Service, patience: Patience, direct: boolean);
    deliver(file: File, name: string, signal: AbortSignal, report: Report): Promise<Picture>;
}
