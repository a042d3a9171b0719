// What a private message says, in a line.

export function said({ message, pictures, deleted_at }) {
  if (deleted_at) return "Message deleted";
  return message || (pictures?.length > 1 ? `${pictures.length} pictures` : "Picture");
}
