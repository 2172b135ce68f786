// Certificates from a file: what stood there last and could be read. Compares by where it comes from, so that a renewed
// certificate is no change of the configuration.

export interface PemSource {
  /** Where it comes from; never the text. */
  readonly origin: string;
  /**
   * The PEM text as it is now; the last good one while the file is missing or holds no PEM. Reads the file at most once
   * a second.
   */
  read(): string;
}
