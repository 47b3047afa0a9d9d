/* The life of one token, for Spin (https://spinroot.com).
 *
 * What is here: the record with its conditional writes; CSRs; brokers, which
 * read, are held up anywhere, write, lose answers and die; their upkeep; a signer;
 * an API server that learns late of a token and forgets it late; an administrator
 * who deletes and denies CSRs, and an operator who revokes; an honest machine,
 * which loses answers and starts again; and a thief who has the token, or the
 * ticket. ARCHITECTURE.md says which function each of them is.
 *
 * What is checked is in the promises below: a PROMISE that does not hold ends the
 * check, and Spin names it.
 *
 * DIRECT gives the token away without a ticket, TICKET_STOLEN gives the thief the
 * ticket. Each WITHOUT_... takes one guard out of the protocol, and then a promise
 * must break: tests/model_test.sh.
 */

/* How many brokers, and of what there may be how much. */
#ifndef APPROVERS
#define APPROVERS 2
#endif
#ifndef UPKEEPS
#define UPKEEPS 1
#endif
#ifndef LOST_ANSWERS
#define LOST_ANSWERS 0
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef DELETIONS
#define DELETIONS 0  /* of CSRs */
#endif
#ifndef FAILURES
#define FAILURES 0  /* CSRs that the signer fails, or an administrator denies */
#endif
#ifndef REVOCATIONS
#define REVOCATIONS 0
#endif

mtype = {
  ISSUED, ACTIVE, RESERVED, SPENT, REVOKED,    /* TokenState */
  ABSENT, PENDING, APPROVED, SIGNED, DEAD,     /* a CSR: CsrState */
  UNKNOWN, GOOD, GONE                          /* the token, to the API server */
};

/* Keys, and whose CSR it is: each has one name. */
#define NOBODY 0
#define HONEST 1
#define THIEF  2
#define OTHER  3  /* a second key of the honest machine, if it forgets its first */

typedef Record {
  mtype state;
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
Csr csr[3];     /* by whose it is */
byte uids = 0;  /* given so far */

/* Of UIDs, as bits: those that everybody can know to be without a certificate for
 * ever, and those that have had one. */
byte dead = 0;
byte certified = 0;
#define HAS(set, uid) ((set >> uid) & 1)

/* metadata.resourceVersion, turned round: who has read the record and would find
 * it unchanged, as bits. A write that asserts the version that was read is one
 * that asserts this, and the histories are fewer. */
byte current = 0;
#define MINE          (1 << (_pid - 1))
#define SEE           current = current | MINE
#define LOOK_AWAY     current = current & (255 - MINE)
#define WRITTEN       current = 0
#ifdef WITHOUT_VERSION
#define UNCHANGED     true
#else
#define UNCHANGED     (current & MINE)
#endif

byte lost = LOST_ANSWERS;
byte crashes = CRASHES;
byte deletions = DELETIONS;
byte failures = FAILURES;

mtype api = UNKNOWN;      /* whether the honest machine can log in */
bool was_active = false;  /* and the thief can, for ever: somebody's cache knows it */
byte bought = 0;          /* CSRs approved that have, or may get, a certificate */
mtype over = 0;           /* the first state of the record that is final */
bool joined = false;
bool revoked = false;     /* and the operator was told so */

/* What excuses that the honest machine has not joined. */
bool beaten = false;      /* its CSR was denied while the thief had the token */
bool interfered = false;  /* its CSR was denied by a person, or failed */
bool away = false;        /* it was dead for a while */

/* The promises; the number is that of the invariant, in docs/model/README.md. */
hidden byte one_certificate;               /* 1 */
hidden byte approved_is_on_record;         /* 1 */
hidden byte approved_fits_scope;           /* 2 */
hidden byte approved_has_the_bound_key;    /* 2 */
hidden byte answer_is_for_the_key;         /* 5 */
hidden byte claim_is_kept;                 /* 5 */
hidden byte refused_changes_nothing;       /* 6 */
hidden byte spent_on_a_certificate;
hidden byte reserved_before_it_was_revoked;
hidden byte nothing_approved_after_revoked;
hidden byte over_for_good;
hidden byte honest_machine_joins;
#ifdef ONLY_CERTIFICATES
#define PROMISE(what, holds) skip  /* whatever else breaks on the way */
#else
#define PROMISE(what, holds) what = (holds); assert(what)
#endif

/* Guards, and what is left of them without. */
#ifdef WITHOUT_SCOPE
#define FITS(fits) true
#else
#define FITS(fits) fits
#endif
#ifdef WITHOUT_KEY
#define KEY_FITS(key) true
#else
#define KEY_FITS(key) (BOUND_KEY == NOBODY || BOUND_KEY == key)
#endif

/* TokenRecord::BoundKey: by the claim, else by the CSR that has the token. */
#define BOUND_KEY (rec.key != NOBODY -> rec.key : rec.held_by)
#define HELD_BY(uid) (rec.state == RESERVED && rec.holder == uid)

#if defined(WITHOUT_USABLE_RESERVE)
#define RESERVABLE(uid) (rec.state == ACTIVE || rec.state == SPENT || rec.state == REVOKED)
#elif defined(WITHOUT_FREE_RESERVE)
#define RESERVABLE(uid) (rec.state == ACTIVE || rec.state == RESERVED && rec.holder != uid)
#elif defined(WITHOUT_CLAIMED_RESERVE)
#define RESERVABLE(uid) (rec.state == ACTIVE || rec.state == ISSUED)
#else
#define RESERVABLE(uid) (rec.state == ACTIVE)
#endif

/* The UID and version that an approval or a denial asserts. */
#define THERE(whose) (csr[whose].state != ABSENT && csr[whose].state != SIGNED)
#define UNTOUCHED(whose, u) (csr[whose].state == PENDING && csr[whose].uid == u)
#if defined(WITHOUT_CSR_VERSION)
#define APPROVABLE(whose, u) (THERE(whose) && csr[whose].uid == u)
#elif defined(WITHOUT_CSR_IDENTITY)
#define APPROVABLE(whose, u) (csr[whose].state == PENDING)
#else
#define APPROVABLE(whose, u) UNTOUCHED(whose, u)
#endif
#if defined(WITHOUT_DENIAL_VERSION)
#define DENIABLE(whose, u) (THERE(whose) && csr[whose].uid == u)
#elif defined(WITHOUT_DENIAL_IDENTITY)
#define DENIABLE(whose, u) (csr[whose].state == PENDING)
#else
#define DENIABLE(whose, u) UNTOUCHED(whose, u)
#endif

/* Without it, the token of an unclaimed ticket can log in. */
#ifdef WITHOUT_LOGIN_DISABLED
#define THIEF_CAN_LOG_IN true
#else
#define THIEF_CAN_LOG_IN was_active
#endif

inline create_csr(whose, with_key, good) {
  uids++;
  csr[whose].state = PENDING;
  csr[whose].uid = uids;
  csr[whose].key = with_key;
  csr[whose].fits = good
}

inline kill_csr(whose) {
  if
  :: csr[whose].state == APPROVED -> bought--
  :: else
  fi;
  dead = dead | (1 << csr[whose].uid);
  csr[whose].state = DEAD
}

/* CsrApprover: JudgeAgainst, and Conclude. */
proctype Approver() {
  byte whose, uid, key;
  bool fits;
  bool wrote;   /* the reservation */
  bool thiefs;  /* the thief had the token when it was judged */

#define NEXT                                                       \
  whose = 0; uid = 0; key = 0; fits = false; wrote = false;        \
  thiefs = false; LOOK_AWAY; goto end_begin
#define MAY_DIE crashes > 0 -> crashes--; NEXT

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
judge:
  atomic {
    SEE;
    thiefs = (BOUND_KEY == THIEF);
    if
#ifdef WITHOUT_CONSISTENT_READ
    :: goto deny  /* as it was before the claim */
#endif
#ifdef WITHOUT_CHECKING_FIRST
    :: !fits && RESERVABLE(uid) && KEY_FITS(key) -> goto reserve
#endif
    :: !FITS(fits) -> goto deny
    :: FITS(fits) && HELD_BY(uid) ->
#ifdef WITHOUT_COMPLETION
       goto deny
#else
       goto approve
#endif
    :: FITS(fits) && RESERVABLE(uid) && KEY_FITS(key) -> goto reserve
    :: FITS(fits) && rec.state == RESERVED && !HELD_BY(uid) && BOUND_KEY == key ->
       /* The same machine, and its dead CSR is not released yet. */
#ifdef WITHOUT_PUTTING_OFF
       goto deny
#else
       goto put_off
#endif
    :: else -> goto deny
    fi
  }

put_off:
  atomic { !(current & MINE) || !UNTOUCHED(whose, uid) -> NEXT }

reserve:
#ifdef WITHOUT_RESERVE
  goto approve;
#endif
  atomic {
    if
    :: UNCHANGED ->
       PROMISE(reserved_before_it_was_revoked, over != REVOKED);
       rec.state = RESERVED;
       rec.holder = uid;
       rec.held_by = key;
       wrote = true;
       WRITTEN;
       if
       :: goto approve
       :: lost > 0 -> lost--; goto judge
       fi
    :: !UNCHANGED ->
#ifdef WITHOUT_JUDGING_AGAIN
       SEE; goto reserve
#else
       goto judge
#endif
    :: MAY_DIE
    fi
  }

approve:
  atomic {
    if
#ifdef WITHOUT_CHECKING_FIRST
    :: !fits -> goto deny
#endif
    :: APPROVABLE(whose, uid) ->
       if
       :: csr[whose].state == APPROVED
       :: else ->
          csr[whose].state = APPROVED;
          bought++;
          one_certificate = (bought == 1);
          assert(one_certificate);
          PROMISE(nothing_approved_after_revoked, !revoked);
          PROMISE(approved_is_on_record, rec.holder == csr[whose].uid);
          PROMISE(approved_fits_scope, csr[whose].fits);
          PROMISE(approved_has_the_bound_key,
                  rec.key == NOBODY || rec.key == csr[whose].key)
       fi
    :: !APPROVABLE(whose, uid)
    :: MAY_DIE
    fi;
    NEXT
  }

deny:
  atomic {
    if
    :: DENIABLE(whose, uid) ->
       PROMISE(refused_changes_nothing, !wrote || over == REVOKED);
       beaten = beaten || (whose == HONEST && thiefs && UNTOUCHED(whose, uid));
       kill_csr(whose)
    :: !DENIABLE(whose, uid)
    :: MAY_DIE
    fi;
    NEXT
  }
}

#define IN(whose, what, u) (csr[whose].state == what && csr[whose].uid == u)

#if defined(WITHOUT_CERTAIN_DEATH)
#define DIED(u) (HAS(dead, u) || csr[HONEST].uid != u && csr[THIEF].uid != u)
#elif defined(WITHOUT_AWAITING_THE_SIGNER)
#define DIED(u) (HAS(dead, u) || IN(HONEST, APPROVED, u) || IN(THIEF, APPROVED, u))
#else
#define DIED(u) HAS(dead, u)
#endif

/* WasFetched: time is not here, but a machine that does not die is in time. */
#if defined(WITHOUT_CERTIFICATE)
#define FETCHED(u) (IN(HONEST, APPROVED, u) || IN(HONEST, SIGNED, u) || IN(THIEF, SIGNED, u))
#elif defined(WITHOUT_GRACE)
#define FETCHED(u) (IN(HONEST, SIGNED, u) || IN(THIEF, SIGNED, u))
#else
#define FETCHED(u) (IN(HONEST, SIGNED, u) && (joined || away) || IN(THIEF, SIGNED, u))
#endif

/* What Release and Spend assert of the record that they leave. */
#if defined(WITHOUT_RELEASE_STATE)
#define RELEASABLE(uid) (rec.holder == uid)
#elif defined(WITHOUT_RELEASE_HOLDER)
#define RELEASABLE(uid) (rec.state == RESERVED)
#else
#define RELEASABLE(uid) HELD_BY(uid)
#endif
#if defined(WITHOUT_SPEND_STATE)
#define SPENDABLE(uid) (rec.holder == uid)
#elif defined(WITHOUT_SPEND_HOLDER)
#define SPENDABLE(uid) (rec.state == RESERVED)
#else
#define SPENDABLE(uid) HELD_BY(uid)
#endif

/* TokenUpkeep: TendReserved, ReleaseFrom, SpendOn. */
proctype Upkeep() {
  byte uid;
#define REST uid = 0; LOOK_AWAY; goto end_idle

end_idle:
  atomic {
    if
    :: rec.state == RESERVED && DIED(rec.holder) -> uid = rec.holder; SEE; goto release
    :: rec.state == RESERVED && FETCHED(rec.holder) -> uid = rec.holder; SEE; goto spend
    fi
  }
release:
  atomic {
    if
    :: UNCHANGED ->
       rec.state = ACTIVE;
       rec.holder = 0;
       rec.held_by = NOBODY;
       WRITTEN;
       if
       :: REST
       :: lost > 0 -> lost--; goto release_again
       fi
    :: !UNCHANGED -> goto release_again
    fi
  }
release_again:
  atomic {
    if
    :: RELEASABLE(uid) -> SEE; goto release
    :: else -> REST
    fi
  }
spend:
  atomic {
    if
    :: UNCHANGED ->
       PROMISE(spent_on_a_certificate, HAS(certified, rec.holder));
       rec.state = SPENT;
       over = (over == 0 -> SPENT : over);
       WRITTEN;
       if
       :: REST
       :: lost > 0 -> lost--; goto spend_again
       fi
    :: !UNCHANGED -> goto spend_again
    fi
  }
spend_again:
  atomic {
    if
    :: rec.state != SPENT && SPENDABLE(uid) -> SEE; goto spend
    :: else -> REST
    fi
  }
}

/* kube-controller-manager's. */
proctype Signer() {
end_idle:
  do
  :: atomic {
       csr[HONEST].state == APPROVED ->
       csr[HONEST].state = SIGNED;
       certified = certified | (1 << csr[HONEST].uid)
     }
  :: atomic {
       csr[THIEF].state == APPROVED ->
       csr[THIEF].state = SIGNED;
       certified = certified | (1 << csr[THIEF].uid)
     }
  od
}

/* The API server's informer of Secrets, and its cache of good tokens: both lag.
 * The thief asks whichever suits him: was_active. */
proctype Authenticator() {
end_idle:
  do
  :: atomic { api == UNKNOWN && (rec.state == ACTIVE || rec.state == RESERVED) -> api = GOOD }
  :: atomic { api != GONE && (rec.state == SPENT || rec.state == REVOKED) -> api = GONE }
  od
}

/* Died without a certificate, and no broker that lives saw it: or one did
 * (TokenUpkeep::NoteDeleted). */
inline delete_csr(whose) {
  if
  :: csr[whose].state == APPROVED -> bought--
  :: else
  fi;
  if
  :: csr[whose].state != SIGNED -> dead = dead | (1 << csr[whose].uid)
  :: true
  fi;
  csr[whose].state = ABSENT;
  csr[whose].uid = 0
}

/* A person, the CSR cleaner, and a signer that fails what it cannot sign. */
proctype Administrator() {
end_idle:
  do
  :: atomic {
       deletions > 0 && csr[HONEST].state != ABSENT && !joined ->
       deletions--;
       delete_csr(HONEST)
     }
  :: atomic {
       deletions > 0 && csr[THIEF].state != ABSENT ->
       deletions--;
       delete_csr(THIEF)
     }
  :: atomic {
       failures > 0 && (csr[HONEST].state == PENDING || csr[HONEST].state == APPROVED) ->
       failures--;
       interfered = true;
       kill_csr(HONEST)
     }
  :: atomic {
       failures > 0 && (csr[THIEF].state == PENDING || csr[THIEF].state == APPROVED) ->
       failures--;
       kill_csr(THIEF)
     }
  od
}

#ifdef WITHOUT_REVOKE_STATE
#define REVOCABLE (rec.state != REVOKED)
#else
#define REVOCABLE (rec.state != REVOKED && rec.state != SPENT)
#endif

/* CsrApprover::CutOff: answers the revocation if the CSR that has the token is decided
 * or gone, or no CSR has it; else that CSR is to be denied. It reads in the same step as
 * what is before it, and the histories are fewer: what is decided or gone stays so, and
 * what happens after it has read, the denial meets. */
#define ANSWER whose = 0; uid = 0; revoked = true; goto end_idle
inline cut_off() {
#ifndef WITHOUT_CUTTING_OFF
  if
  :: UNTOUCHED(HONEST, uid) -> whose = HONEST; goto deny
  :: UNTOUCHED(THIEF, uid) -> whose = THIEF; goto deny
  :: else
  fi;
#endif
  ANSWER
}

/* TokenAdministration::Revoke, at any time. */
proctype Operator() {
  byte whose, uid;

end_idle:
  do
  :: atomic { REVOCABLE -> SEE }
     atomic {
       if
       :: UNCHANGED ->
          rec.state = REVOKED;
          over = (over == 0 -> REVOKED : over);
          uid = rec.holder;
          WRITTEN;
          cut_off()
       :: !UNCHANGED
       fi
     }
  od;

deny:
  atomic {
    if
    :: DENIABLE(whose, uid) -> kill_csr(whose)
    :: !DENIABLE(whose, uid)
    :: lost > 0 -> lost--  /* the denial, before it was written */
    fi;
#ifdef WITHOUT_CONFIRMED_DENIAL
    ANSWER
#else
    cut_off()
#endif
  }
}

#if defined(WITHOUT_CLAIM_STATE)
#define CLAIMABLE(with) (rec.state == ISSUED || rec.key != with)
#else
#define CLAIMABLE(with) (rec.state == ISSUED)
#endif
#ifdef WITHOUT_BINDING
#define CLAIMED_BY(with) true
#else
#define CLAIMED_BY(with) (rec.key == with)
#endif
#ifdef WITHOUT_CHECKING_FIRST
#define NAME_FITS(good) true
#else
#define NAME_FITS(good) good
#endif
#ifdef WITHOUT_USABLE_CLAIM
#define USABLE true
#else
#define USABLE (rec.state != SPENT && rec.state != REVOKED)
#endif

/* TokenBroker::Claim, by some broker, for the holder of the key `with`, who says
 * the right node name, or another. */
inline claim(with, good) {
  do
  :: atomic {
       SEE;
       if
       :: USABLE && NAME_FITS(good) && CLAIMABLE(with)
       :: USABLE && NAME_FITS(good) && !CLAIMABLE(with) && CLAIMED_BY(with) ->
          PROMISE(answer_is_for_the_key, rec.key == with);
          granted = true;
          LOOK_AWAY;
          break
       :: else -> LOOK_AWAY; break
       fi
     };
     atomic {
       if
       :: UNCHANGED ->
          PROMISE(claim_is_kept, rec.key == NOBODY || rec.key == with);
          rec.state = ACTIVE;
          rec.key = with;
          was_active = true;
          WRITTEN;
          PROMISE(refused_changes_nothing, good);
          if
          :: granted = true; break
#ifdef WITHOUT_ASKING_AGAIN
          :: lost > 0 -> lost--; break
#else
          :: lost > 0 -> lost--
#endif
          fi
       :: !UNCHANGED
       fi
     }
  od
}

/* NodeJoiner::Run, again and again. */
proctype Machine() {
  byte key = HONEST;
  byte uid;
  bool granted;

#define DIE crashes > 0 -> crashes--; away = true; goto again

start:
#ifndef DIRECT
  claim(key, true);
  atomic {
    if
    :: granted -> granted = false
    :: else -> goto no
    fi
  };
#endif

ask:
  atomic {
    if
    :: DIE
#ifdef WITHOUT_PATIENCE
    :: api == UNKNOWN -> goto no
#endif
    :: api == GONE -> goto no
    :: api == GOOD ->
       if
       :: csr[HONEST].state == ABSENT || (csr[HONEST].state == DEAD && uid == 0) ->
          /* Passed over, if it is dead and of an earlier run. */
          create_csr(HONEST, key, true);
          uid = csr[HONEST].uid;
          if
          :: true
          :: lost > 0 -> lost--; goto ask
          fi
#ifdef WITHOUT_ADOPTION
       :: else -> goto no
#else
       :: else -> uid = csr[HONEST].uid
#endif
       fi
    fi
  };

wait:
  atomic {
    if
    :: DIE
    :: api == GONE -> goto no
    :: api == GOOD && csr[HONEST].uid == uid && csr[HONEST].state == SIGNED ->
       joined = true
    :: api == GOOD && csr[HONEST].uid == uid && csr[HONEST].state == DEAD -> goto no
    :: api == GOOD && csr[HONEST].uid != uid -> goto again  /* it was removed */
    fi;
    uid = 0;
    goto done
  };

again:
  atomic {
    uid = 0;
#ifdef WITHOUT_DURABLE_KEY
    key = OTHER;
#endif
    goto start
  };

no:
  uid = 0;
done:
  skip
}

/* Has the ticket, and the token once it is worth something. */
proctype Thief() {
  bool granted, good;

#ifdef TICKET_STOLEN
  if
  :: good = true
  :: good = false
  fi;
  claim(THIEF, good);
  granted = false;
#endif
  atomic {
    THIEF_CAN_LOG_IN ->
    if
    :: good = true
    :: good = false
    fi;
    create_csr(THIEF, THIEF, good);
    good = false
  }
}

/* The token stays taken, since nobody can know whether its CSR, which is not there,
 * has had a certificate. */
#define TAKEN                                                               \
  (rec.state == RESERVED && csr[HONEST].uid != rec.holder &&                \
   csr[THIEF].uid != rec.holder && !HAS(dead, rec.holder))

#ifdef DIRECT
/* Without a claim the token is for whoever comes first. */
#define THIEF_CAME_FIRST (beaten || rec.held_by == THIEF)
#else
#define THIEF_CAME_FIRST (rec.key == THIEF)
#endif

/* Nothing more can happen. */
proctype Judge() {
end_idle:
  atomic {
    timeout;
    PROMISE(over_for_good, over == 0 || rec.state == over);
    PROMISE(honest_machine_joins,
            joined || THIEF_CAME_FIRST || TAKEN || interfered ||
            over == REVOKED || (away && rec.state == SPENT))
  }
}

init {
  byte n;
  atomic {
    csr[HONEST].state = ABSENT;
    csr[THIEF].state = ABSENT;
#ifdef DIRECT
    rec.state = ACTIVE;
    was_active = true;
#else
    rec.state = ISSUED;
#endif
    /* Those that write the record: MINE has eight bits. */
    for (n : 1 .. APPROVERS) { run Approver() }
    for (n : 1 .. UPKEEPS) { run Upkeep() }
    run Machine();
    run Thief();
#if REVOCATIONS
    run Operator();
#endif
    run Signer();
    run Authenticator();
#if DELETIONS || FAILURES
    run Administrator();
#endif
    run Judge();
    n = 0
  }
}
