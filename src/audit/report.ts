// What a verification found, as values and as lines for a terminal.

/** Findings that prove that the log was changed, or that the gateway did what it must not do. */
export type FaultKind =
  | 'damaged_line'
  | 'broken_chain'
  | 'gap'
  | 'repeated'
  | 'no_start'
  | 'torn_tail'
  | 'torn_bytes_gone'
  | 'missing_file'
  | 'cut_file'
  | 'second_beginning'
  | 'denied_but_sent'
  | 'sent_without_decision'
  | 'sent_without_approval'
  | 'sent_another_action'
  | 'sent_twice';

/** Findings that may be harmless, and that somebody should look at. */
export type WarningKind = 'open_call' | 'open_credential' | 'lines_after_next_start' | 'recorded_tear';

export interface Finding<Kind extends string> {
  readonly kind: Kind;
  readonly file: string;
  /** Counted from 1; absent when the finding is about the whole file. */
  readonly line?: number;
  readonly text: string;
}

export interface VerifyReport {
  /** True when there is no fault. */
  readonly ok: boolean;
  readonly files: number;
  readonly records: number;
  readonly faults: readonly Finding<FaultKind>[];
  readonly warnings: readonly Finding<WarningKind>[];
  /** What this verification cannot know, in sentences; part of every printed report. */
  readonly limits: readonly string[];
}

/**
 * The report for a terminal, one finding a line. File names and record contents cannot forge lines: findings quote ids
 * and numbers only.
 */
export function formatReport(report: VerifyReport): string[] {
  const where = ({ file, line }: Finding<string>): string => (line === undefined ? file : `${file}:${line}`);
  const { records, files, faults, warnings } = report;
  const found = `${faults.length} faults, ${warnings.length} warnings`;
  return [
    `${report.ok ? 'OK' : 'FAULTS FOUND'}: ${records} records in ${files} files, ${found}`,
    ...faults.map((finding) => `fault    ${where(finding)}  ${finding.kind}: ${finding.text}`),
    ...warnings.map((finding) => `warning  ${where(finding)}  ${finding.kind}: ${finding.text}`),
    ...report.limits.map((text) => `note     ${text}`),
  ];
}
