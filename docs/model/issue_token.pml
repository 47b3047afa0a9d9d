/* IssueToken without a database, for Spin (https://spinroot.com).
 *
 * One request, made twice at once over two brokers, and again whenever an answer
 * is lost; the same request_id with something else in it; a request that the
 * policy refuses; and a request of somebody else whose first token id is the same.
 * What is checked is in the promises below: a PROMISE that does not hold ends the
 * check, and Spin names it.
 *
 * Each WITHOUT_... takes one guard out, and then a promise must break:
 * tests/model_test.sh.
 */

#ifndef LOST_ANSWERS
#define LOST_ANSWERS 2
#endif

/* Whose request it is: request_key. */
#define NOBODY 0
#define MINE   1
#define YOURS  2

/* What it asks for: request_digest. */
#define PLAIN     1
#define CHANGED   2
#define FORBIDDEN 3

/* The id of each probe: the first is the same for both. */
#define ID(request, probe) (probe == 0 -> 0 : request + 2 * (probe - 1))
#define NO_ID 15

byte owner[12];         /* of the Secret with this id: request_key */
byte asked_for[12];     /* request_digest */
byte answer[3] = NO_ID; /* the id that a request was answered with */
byte secrets[3];        /* that a request has */
byte lost = LOST_ANSWERS;
#ifdef WITHOUT_DERIVED_ID
byte drawn = 0;
#endif

/* The promises; the number is that of the invariant, in docs/model/README.md. */
hidden byte one_secret;               /* 4 */
hidden byte answered_with_ones_own;   /* 4 */
hidden byte answered_as_before;       /* 4 */
hidden byte refused_changes_nothing;  /* 6 */
#define PROMISE(what, holds) what = (holds); assert(what)

/* TokenBroker: Issue, InsertOrReplay and Replay, for a caller who asks until it
 * hears. */
proctype Call(byte request, digest) {
  byte probe, id;
  bool unknown, made;

start:
#ifndef WITHOUT_CHECKING_FIRST
  if
  :: digest == FORBIDDEN -> goto refused
  :: else
  fi;
#endif
#ifdef WITHOUT_DERIVED_ID
  atomic { probe = drawn; drawn++ }
#else
  probe = 0;
#endif
create:
  atomic {
    id = ID(request, probe);
    unknown = false;
    if
    :: owner[id] == NOBODY ->
       owner[id] = request;
       asked_for[id] = digest;
       secrets[request]++;
       made = true;
       PROMISE(one_secret, secrets[request] == 1);
       if
       :: goto answered
       :: lost > 0 -> lost--; unknown = true
       fi
    :: owner[id] == NOBODY && lost > 0 -> lost--; unknown = true  /* not even done */
    :: else
    fi
  }
#ifdef WITHOUT_SETTLING
  if
  :: unknown -> probe++; goto create
  :: else
  fi;
#endif
#ifdef WITHOUT_COMPARISON
  if
  :: !unknown -> goto answered
  :: else
  fi;
#endif
  atomic {
    if
    :: owner[id] == request && asked_for[id] == digest -> goto answered
    :: owner[id] == request && asked_for[id] != digest ->
#ifdef WITHOUT_DIGEST
       goto answered
#else
       goto refused
#endif
    :: owner[id] == NOBODY -> goto create
    :: else -> probe++; goto create
    fi
  }
answered:
#ifdef WITHOUT_CHECKING_FIRST
  if
  :: digest == FORBIDDEN -> goto refused
  :: else
  fi;
#endif
  /* The caller's own answer may be lost too. */
  if
  :: true
  :: atomic { lost > 0 -> lost-- } goto start
  fi;
  atomic {
    PROMISE(answered_with_ones_own, owner[id] == request && asked_for[id] == digest);
    PROMISE(answered_as_before, answer[request] == NO_ID || answer[request] == id);
    answer[request] = id;
    goto done
  }
refused:
  atomic { PROMISE(refused_changes_nothing, !made) }
done:
  skip
}

init {
  atomic {
    run Call(MINE, PLAIN);
    run Call(MINE, PLAIN);
    run Call(MINE, CHANGED);
    run Call(YOURS, PLAIN);
    run Call(YOURS, FORBIDDEN)
  }
}
