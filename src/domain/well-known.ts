// Paths that clients know without being told.

/** Where the metadata of a protected resource begins (RFC 9728 section 3); a mount's name follows. */
export const RESOURCE_METADATA_PATH = '/.well-known/oauth-protected-resource';
