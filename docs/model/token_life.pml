/* The life of one token, for Spin (https://spinroot.com).
 *
 * What is here: the record with its conditional writes; CSRs with UIDs and
 * versions; two brokers, which read, are held up anywhere, write, lose answers
 * and die; an upkeep; a signer; somebody who deletes CSRs; an honest machine,
 * which loses answers and starts again; and a thief who has the ticket, or the
 * token, and the API server's leave to use it: it caches a token that was good,
 * so that here it is good for ever once it was ACTIVE.
 *
 * What is checked: at most one certificate is bought; each CSR approved fits the
 * scope, has the bound key, and its UID is on the record; and when nothing can
 * happen any more, the honest machine has joined, unless the thief came first or
 * its certificate was deleted unfetched.
 *
 * DIRECT gives the token away without a ticket. Each WITHOUT_... takes one guard
 * out of the protocol, and then the check must fail: tests/model_test.sh.
 */

#ifndef LOST_ANSWERS
#define LOST_ANSWERS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef DELETIONS
#define DELETIONS 1
#endif

mtype = {
  ISSUED, ACTIVE, RESERVED, SPENT,             /* TokenState */
  ABSENT, PENDING, APPROVED, DENIED, SIGNED    /* a CSR */
};

/* Keys, and whose CSR it is: each has one name. */
#define NOBODY 0
#define HONEST 1
#define THIEF  2
#define OTHER  3  /* a second key of the honest machine, if it forgets its first */

typedef Record {
  mtype state;
  byte version;  /* metadata.resourceVersion */
  byte key;      /* claim->key_digest */
  byte holder;   /* reservation->csr_uid */
  byte held_by;  /* reservation->key_digest */
};

/* It has no version of its own: what is PENDING has not changed since. */
typedef Csr {
  mtype state;
  byte uid;
  byte key;
  bool fits;  /* name, subject, usages, no SANs */
};

Record rec;
Csr csr[3];         /* by whose it is */
byte uids = 0;      /* given so far */
bool died[8];       /* deleted, and not signed: by UID */

byte lost = LOST_ANSWERS;
byte crashes = CRASHES;
byte bought = 0;         /* CSRs approved that have, or may get, a certificate */
bool was_active = false;
bool joined = false;
bool thief_came = false;  /* his CSR had the token */
bool unfetched = false;  /* a signed CSR of the honest machine was deleted */

/* Guards, and what is left of them without. */
#ifdef WITHOUT_VERSION
#define UNCHANGED(seen) true
#else
#define UNCHANGED(seen) (rec.version == seen)
#endif
#ifdef WITHOUT_SCOPE
#define FITS(fits) true
#else
#define FITS(fits) fits
#endif
#ifdef WITHOUT_KEY
#define KEY_FITS(bound, key) true
#else
#define KEY_FITS(bound, key) (bound == NOBODY || bound == key)
#endif
#ifdef WITHOUT_UID
#define SAME_CSR(whose, u) true
#else
#define SAME_CSR(whose, u) (csr[whose].uid == u)
#endif

/* TokenRecord::BoundKey: by the claim, else by the CSR that has the token. */
#define BOUND_KEY (rec.key != NOBODY -> rec.key : rec.held_by)

/* An answer that does not arrive: the writer has to read again. */
#define ANSWER(if_lost) if :: true :: lost > 0 -> lost--; goto if_lost fi
/* The end of a process between any two steps. */
#define MAY_CRASH(restart) if :: true :: atomic { crashes > 0 -> crashes-- } goto restart fi

inline create_csr(whose, with_key, good) {
  uids++;
  csr[whose].state = PENDING;
  csr[whose].uid = uids;
  csr[whose].key = with_key;
  csr[whose].fits = good
}

/* CsrApprover::Decide and Conclude. */
proctype Approver() {
  byte whose, uid, key;
  bool fits;
  mtype state;
  byte at, bound, holder;

end_begin:
  atomic {
    if
    :: csr[HONEST].state == PENDING -> whose = HONEST
    :: csr[THIEF].state == PENDING -> whose = THIEF
    fi;
    /* As the watch showed it. */
    uid = csr[whose].uid;
    key = csr[whose].key;
    fits = csr[whose].fits
  }
read:
  atomic {
    state = rec.state;
    at = rec.version;
    bound = BOUND_KEY;
    holder = rec.holder
  }
  MAY_CRASH(end_begin);
  if
  :: !FITS(fits) -> goto deny
  :: FITS(fits) && state == RESERVED && holder == uid ->
#ifdef WITHOUT_COMPLETION
     goto deny
#else
     goto approve
#endif
  :: FITS(fits) && state == ACTIVE && KEY_FITS(bound, key) -> goto reserve
  :: FITS(fits) && state == RESERVED && holder != uid && bound == key ->
     /* The same machine, and its dead CSR is not released yet. */
     (rec.version != at || csr[whose].state != PENDING);
     goto end_begin
  :: else -> goto deny
  fi;

reserve:
#ifdef WITHOUT_RESERVE
  goto approve;
#endif
#ifdef WITHOUT_STATE
  at = rec.version;  /* whatever it has become since it was judged */
#endif
  atomic {
    if
    :: UNCHANGED(at) ->
       rec.state = RESERVED;
       rec.holder = uid;
       rec.held_by = key;
       rec.version++;
       thief_came = thief_came || (whose == THIEF);
       ANSWER(read)
    :: else -> goto read
    fi
  }
  MAY_CRASH(end_begin);

approve:
  atomic {
    if
    :: csr[whose].state == PENDING && SAME_CSR(whose, uid) ->
       csr[whose].state = APPROVED;
       bought++;
       assert(bought == 1);
       assert(csr[whose].fits);
       assert(rec.holder == csr[whose].uid);
       assert(rec.key == NOBODY || rec.key == csr[whose].key)
    :: else
    fi
  }
  goto end_begin;

deny:
  atomic {
    if
    :: csr[whose].state == PENDING && csr[whose].uid == uid ->
       csr[whose].state = DENIED
    :: else
    fi
  }
  goto end_begin
}

#define HELD_BY(whose) (csr[whose].state != ABSENT && csr[whose].uid == rec.holder)
#define IN(whose, what) (HELD_BY(whose) && csr[whose].state == what)
#ifdef WITHOUT_CERTAIN_DEATH
#define DEAD (!HELD_BY(HONEST) && !HELD_BY(THIEF) || IN(HONEST, DENIED) || IN(THIEF, DENIED))
#else
#define DEAD (died[rec.holder] || IN(HONEST, DENIED) || IN(THIEF, DENIED))
#endif

/* TokenUpkeep::TendReserved: Release and Spend. */
proctype Upkeep() {
  byte at;
end_idle:
  do
  :: atomic { rec.state == RESERVED && DEAD -> at = rec.version };
     atomic {
       if
       :: UNCHANGED(at) -> rec.state = ACTIVE; rec.holder = 0; rec.held_by = NOBODY; rec.version++
       :: else
       fi
     }
  :: atomic {
       rec.state == RESERVED && (IN(HONEST, SIGNED) || IN(THIEF, SIGNED)) ->
       at = rec.version
     };
     atomic {
       if
       :: UNCHANGED(at) -> rec.state = SPENT; rec.version++
       :: else
       fi
     }
  od
}

/* kube-controller-manager's. */
proctype Signer() {
end_idle:
  do
  :: atomic { csr[HONEST].state == APPROVED -> csr[HONEST].state = SIGNED }
  :: atomic { csr[THIEF].state == APPROVED -> csr[THIEF].state = SIGNED }
  od
}

inline delete_csr(whose) {
  died[csr[whose].uid] = (csr[whose].state != SIGNED);
  if
  :: csr[whose].state == APPROVED -> bought--
  :: else
  fi;
  csr[whose].state = ABSENT
}

/* An administrator, or the CSR cleaner. */
proctype Deleter() {
  byte left = DELETIONS;
end_idle:
  do
  :: atomic {
       left > 0 && csr[HONEST].state != ABSENT && !joined ->
       unfetched = unfetched || (csr[HONEST].state == SIGNED);
       delete_csr(HONEST);
       left--
     }
  :: atomic {
       left > 0 && csr[THIEF].state != ABSENT ->
       delete_csr(THIEF);
       left--
     }
  od
}

#ifdef WITHOUT_BINDING
#define CLAIMED_BY(with) true
#else
#define CLAIMED_BY(with) (bound == with)
#endif

/* TokenBroker::Claim, by some broker, for the holder of the key `with`. */
#define CLAIM(with, again, no)                                   \
  atomic { state = rec.state; at = rec.version; bound = rec.key } \
  if                                                             \
  :: state == ISSUED ->                                          \
     atomic {                                                    \
       if                                                        \
       :: UNCHANGED(at) ->                                       \
          rec.state = ACTIVE;                                    \
          rec.key = with;                                        \
          rec.version++;                                         \
          was_active = true;                                     \
          ANSWER(again)                                          \
       :: else -> goto again                                     \
       fi                                                        \
     }                                                           \
  :: state != ISSUED && CLAIMED_BY(with) -> rec.key = with       \
  :: state != ISSUED && !CLAIMED_BY(with) -> goto no             \
  fi

/* NodeJoiner::Run, again and again. */
proctype Machine() {
  mtype state;
  byte at, bound, uid;
  byte key = HONEST;

start:
#ifndef DIRECT
  CLAIM(key, claim_lost, no);
  goto asking;
claim_lost:
#ifdef WITHOUT_DURABLE_KEY
  key = OTHER;
#endif
  goto start;
#endif
asking:
  MAY_CRASH(start);
  atomic {
    if
    :: csr[HONEST].state == ABSENT ->
       create_csr(HONEST, key, true);
       uid = csr[HONEST].uid;
       ANSWER(asking)
#ifdef WITHOUT_ADOPTION
    :: else -> goto no
#else
    :: else -> uid = csr[HONEST].uid
#endif
    fi
  }
  MAY_CRASH(start);
  if
  :: atomic { csr[HONEST].state == SIGNED && csr[HONEST].uid == uid -> joined = true }
  :: csr[HONEST].state == DENIED && csr[HONEST].uid == uid -> goto no
  :: csr[HONEST].state == ABSENT || csr[HONEST].uid != uid -> goto start
  fi;
  goto done;
no:
done:
  skip
}

/* Has the ticket, and the token once it is worth something. */
proctype Thief() {
  mtype state;
  byte at, bound;
  bool good;
  byte requests = 1;

#ifdef TICKET_STOLEN
claiming:
  CLAIM(THIEF, claiming, no);
no:
#endif
end_idle:
  do
  :: atomic {
       was_active && requests > 0 && csr[THIEF].state == ABSENT ->
       if
       :: good = true
       :: good = false
       fi;
       create_csr(THIEF, THIEF, good);
       requests--
     }
  od
}

/* Without a claim the token is for whoever comes first. */
#ifdef DIRECT
#define FIRST_COME thief_came
#else
#define FIRST_COME false
#endif

/* Nothing more can happen. */
proctype Judge() {
end_idle:
  timeout;
  assert(joined || unfetched || rec.key == THIEF || FIRST_COME)
}

init {
  atomic {
    csr[HONEST].state = ABSENT;
    csr[THIEF].state = ABSENT;
#ifdef DIRECT
    rec.state = ACTIVE;
    was_active = true;
#else
    rec.state = ISSUED;
#endif
    run Approver();
    run Approver();
    run Upkeep();
    run Signer();
    run Deleter();
    run Machine();
    run Thief();
    run Judge()
  }
}
