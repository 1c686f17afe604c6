export async function demo(_io: unknown): Promise<number> {
  return 0;
}
