/** Loaded before a program (`node --import`): its clock is off by so many milliseconds. */
const offsetMs = Number(process.env.TEST_CLOCK_OFFSET_MS);
const Real = Date;

globalThis.Date = new Proxy(Real, {
  construct: (_, args, target) => Reflect.construct(Real, args.length === 0 ? [Real.now() + offsetMs] : args, target),
  get: (_, name) => (name === 'now' ? () => Real.now() + offsetMs : Reflect.get(Real, name)),
});
