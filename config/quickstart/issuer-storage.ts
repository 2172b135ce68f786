// Where the local issuer keeps what it has issued: maps in memory, one set per issuer, nothing survives the process.
// Signed (JWT) tokens are not kept anywhere; they stay valid over a restart because the signing key is kept, see
// issuer.ts.

type Payload = Record<string, unknown> & {
  readonly grantId?: string;
  readonly userCode?: string;
  readonly uid?: string;
};

interface Entry {
  readonly payload: Payload;
  readonly expiresAt: number;
}

/**
 * Makes oidc-provider's adapter for each model name. The package's own one is shared by the whole process and forgets
 * after 1,000 entries.
 */
export function createIssuerStorage(): (model: string) => object {
  return (model) => {
    const entries = new Map<string, Entry>();

    const find = (id: string | undefined) => {
      const entry = id === undefined ? undefined : entries.get(id);
      return entry !== undefined && entry.expiresAt > Date.now() ? entry.payload : undefined;
    };
    const findWhere = (name: 'userCode' | 'uid', value: string) => {
      for (const [id, { payload }] of entries) if (payload[name] === value) return find(id);
      return undefined;
    };
    const dropExpired = () => {
      // Entries of one model live equally long, so the oldest run out first.
      for (const [id, { expiresAt }] of entries) {
        if (expiresAt > Date.now()) return;
        entries.delete(id);
      }
    };

    return {
      model,
      async upsert(id: string, payload: Payload, expiresIn?: number) {
        dropExpired();
        entries.set(id, {
          payload,
          expiresAt: expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1000,
        });
      },
      find: async (id: string) => find(id),
      findByUserCode: async (userCode: string) => findWhere('userCode', userCode),
      findByUid: async (uid: string) => findWhere('uid', uid),
      async consume(id: string) {
        const payload = find(id);
        if (payload) payload.consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id: string) {
        entries.delete(id);
      },
      async revokeByGrantId(grantId: string) {
        for (const [id, { payload }] of entries) if (payload.grantId === grantId) entries.delete(id);
      },
    };
  };
}
