/** Initials on one of six grounds, the same for the same name. */
export function Avatar({ name }: { readonly name: string }) {
  const initials = name
    .split(/\s+/)
    .map((word) => word.charAt(0))
    .slice(0, 2)
    .join('');
  const sum = [...name].reduce((total, character) => total + (character.codePointAt(0) ?? 0), 0);
  return (
    <span className="avatar" data-ground={sum % 6} aria-hidden="true">
      {initials}
    </span>
  );
}
