// Operations that are asked for as the SDK asks for all, with shapes of our own: one that it does
// not know, and one whose answer it takes apart too slowly.

const ns = "com.amazonaws.sfn";
export const text = 0; // or whatever there is: only where there is text does the SDK look at it
export const texts = 64;
export const structure = (n: string, members: string[], shapes: unknown[]) => [3, ns, n, 0, members, shapes];
export const list = (n: string, of: unknown) => [1, ns, n, 0, () => of];

// shaped is a command like another of its service, with a name, what it takes and what it gives.
export function shaped(like: unknown, name: string, input: () => unknown, output: () => unknown): new (input: unknown) => never {
  const operation = [9, ns, name, 0, input, output];
  return class extends (like as any) {
    constructor(given: unknown) {
      super(given);
      (this as any).schema = operation;
    }
    resolveMiddlewareWithContext(stack: unknown, configuration: unknown, options: unknown, c: any) {
      const context = { ...c, commandName: name, smithyContext: { ...c.smithyContext, operation: name, operationSchema: operation } };
      return super.resolveMiddlewareWithContext(stack, configuration, options, context);
    }
  } as never;
}
