// A label of `sensitivity` as a value of conditions. It is no text: texts have an order that says nothing about labels,
// so a label can be compared for equality, and by `atLeast`.

export class Label {
  readonly text: string;
  /** Place in `sensitivity`, lowest first. */
  readonly rank: number;
  constructor(text: string, rank: number) {
    this.text = text;
    this.rank = rank;
  }
}
