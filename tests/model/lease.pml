/* Leases by majority vote, as in shared/holdfast/lease, against every adversary README.md names.
 *
 * One process makes one atomic step after another, chosen freely. Time is a set of timers that
 * count down together, so there is no clock to overflow. A message, once sent, may reach any voter
 * at any later step, any number of times, or never: that is loss, duplication, delay, reordering.
 * The names of the -D switches BUG_* are mutations that spin must catch; see `run`.
 */

#ifndef VOTERS
#define VOTERS 3
#endif
#ifndef ASKS_A
#define ASKS_A 3    /* requests (claims, renewals, releases) that holder A may make */
#endif
#ifndef ASKS_B
#define ASKS_B 2
#endif
#ifndef TERMS
#define TERMS 3     /* the highest term that may be claimed */
#endif
#ifndef TTL
#define TTL 3       /* ticks */
#endif
#ifndef MARGIN
#define MARGIN 2
#endif
#ifndef SLOW
#define SLOW 1      /* a holder's ttl lasts up to this many ticks of true time longer */
#endif
#ifndef FAST
#define FAST 1      /* a voter's ttl lasts up to this many ticks of true time shorter */
#endif
#ifndef SHORTER
#define SHORTER 0   /* ticks by which the ttl of B, and of a voter that restarts, is shorter */
#endif
#ifndef REVOKES
#define REVOKES 1   /* whether the decider may revoke, once */
#endif
#ifndef KILLS
#define KILLS 1     /* how often a holder's machine may die (and come back in a new boot) */
#endif
#ifndef FORGETS
#define FORGETS 1   /* how many disks may be lost in all; never two whose voters do not know yet */
#endif
#ifndef FRESH
#define FRESH 0     /* 1: a new cluster, in which every voter begins blank */
#endif
#ifndef CRASHES
#define CRASHES 255 /* restarts of voters with their disk; 255: any number */
#endif
#ifndef RESTARTS
#define RESTARTS 255 /* restarts of holders' processes; 255: any number */
#endif

#define DECIDER 2
#define REVOKE (ASKS_A + ASKS_B)        /* the decider's one revocation, in nobody's name */
#define ASKS   (ASKS_A + ASKS_B + 1)
#define PROMISE (TTL - FAST)            /* the shortest a voter's promise lasts */
#ifdef BUG_NO_MARGIN
#define BELIEF (TTL + SLOW)
#else
#define BELIEF (TTL - MARGIN + SLOW)    /* the longest that a round won makes its holder believe */
#endif
#define BELIEF_OF(h) ((h) == 1 -> BELIEF - SHORTER : BELIEF)
#define PROMISE_TO(m) (HOLDER_OF(m) == 1 -> PROMISE - SHORTER : PROMISE)
#define MAJORITY (VOTERS / 2 + 1)
#define ENOUGH (VOTERS - MAJORITY + 1)  /* teachers that a blank voter needs, if not all */
#define OTHERS(v) (((1 << VOTERS) - 1) & ~(1 << (v)))

#ifdef BUG_MINORITY
#define WINS (MAJORITY - 1)
#else
#define WINS MAJORITY
#endif

#define NONE 0
#define CLAIM 1
#define RENEW 2
#define RELEASE 3

/* Who a term belongs to: 0 nobody, 1 A in its first boot, 2 B, 3 A in its second boot, 4 B. */
#define SIDE(who) (((who) + 1) % 2)
#define DEAD(who) ((who) != 0 && (who) != boot[SIDE(who)])
#define HOLDER_OF(m) ((m) < ASKS_A -> 0 : ((m) < REVOKE -> 1 : DECIDER))
#define ROUND(m) ((m) + 1)              /* rounds of one holder only ever grow */

typedef Voter {
    unsigned term : 3;      /* stored: durable */
    unsigned who : 3;
    unsigned promised : 3;  /* ticks until the promise to `who` is over: forgotten on restart */
    unsigned abstains : 3;  /* ticks until one ttl after the start is over */
    unsigned round : 4;     /* the latest round granted */
    bit blank;
    bit lost;               /* blank, and has voted before; else blank since the cluster is new */
    unsigned heard : 5;     /* others that answered its question */
    unsigned knew : 5;      /* those of them that were not blank */
#ifdef BUG_NOT_STORED
    unsigned disk_term : 3;
    unsigned disk_who : 3;
#endif
};

typedef Request {           /* in flight from the moment `kind` is set */
    unsigned kind : 2;
    unsigned term : 3;
    unsigned who : 3;
    unsigned left : 3;      /* ticks for which the belief lasts that it brings, from the asking */
    bit open;               /* its round is remembered: votes count */
    unsigned votes : 5;     /* voters that granted it: their votes may arrive whenever */
};

typedef Holder {
    unsigned term : 3;      /* 0: none granted by a majority */
    unsigned seen : 3;      /* the highest term it knows of */
    unsigned asked : 4;     /* requests made */
    unsigned open : 4;      /* rounds it remembers */
    unsigned belief : 4;    /* ticks for which this machine still acts, whichever process began */
    unsigned belief_term : 3;
};

Voter voter[VOTERS];
Request ask[ASKS];
Holder holder[3];           /* A, B, and the decider: its belief is that nobody holds */
byte boot[3];               /* the current boot, in the numbering of `who` */
byte top;                   /* the highest term any voter ever stored */
byte forgets;
byte crashes;
byte restarts;
byte kills;
byte last_term, last_who;   /* the highest term ever believed in, and by whom */
byte i_, n_, t_;            /* scratch, 0 between steps */

#define DOWN(timer) if :: timer > 0 -> timer-- :: else fi
#define COUNT(bits) (((bits) & 1) + ((bits) >> 1 & 1) + ((bits) >> 2 & 1) + \
                     ((bits) >> 3 & 1) + ((bits) >> 4 & 1))
#define FREE(v) (voter[v].term == 0 || (voter[v].promised == 0 && voter[v].abstains == 0))
#define BEYOND(v, h) (voter[v].term > holder[h].term && voter[v].who != boot[h])
#define STORED(m, v) (ask[m].term == voter[v].term && ask[m].who == voter[v].who)

#ifdef BUG_PROOF_OF_NAME    /* a proof about any boot of the machine, not the one that holds */
#define PROVEN(v) (DEAD(voter[v].who) || (voter[v].who && boot[SIDE(voter[v].who)] > 2))
#else
#define PROVEN(v) DEAD(voter[v].who)
#endif
#ifdef BUG_SAME_TERM_TWICE
#define ABOVE(m, v) (ask[m].term >= voter[v].term)
#else
#define ABOVE(m, v) (ask[m].term > voter[v].term)
#endif
#ifdef BUG_RENEWS_LAPSED        /* renews a term whose belief is over, or never began */
#define VALID(h) true
#else
#define VALID(h) (holder[h].belief > 0 && holder[h].belief_term == holder[h].term)
#endif
#ifdef BUG_RELEASE_ANY_ROUND
#define NOT_OVERTAKEN(m, v) true
#else
#define NOT_OVERTAKEN(m, v) (ROUND(m) >= voter[v].round)
#endif

#define GRANTABLE(m, v) (STORED(m, v) || (ABOVE(m, v) && ( \
    (ask[m].kind == CLAIM && (FREE(v) || ask[m].who == voter[v].who || PROVEN(v))) || \
    ask[m].kind == RENEW)))

/* One choice for each voter, each request, each term. */
#if VOTERS == 3
#define LOST (voter[0].lost + voter[1].lost + voter[2].lost)
#define PASSED(h) (BEYOND(0, h) + BEYOND(1, h) + BEYOND(2, h))
#define VOTERS_DO(step, m) :: step(m, 0) :: step(m, 1) :: step(m, 2)
#define EACH_VOTER(step) :: step(0) :: step(1) :: step(2)
#define LESSONS \
    :: hear(0, 1) :: hear(0, 2) :: hear(1, 0) :: hear(1, 2) :: hear(2, 0) :: hear(2, 1)
#else
#define LOST (voter[0].lost + voter[1].lost + voter[2].lost + voter[3].lost + voter[4].lost)
#define PASSED(h) (BEYOND(0, h) + BEYOND(1, h) + BEYOND(2, h) + BEYOND(3, h) + BEYOND(4, h))
#define VOTERS_DO(step, m) \
    :: step(m, 0) :: step(m, 1) :: step(m, 2) :: step(m, 3) :: step(m, 4)
#define EACH_VOTER(step) :: step(0) :: step(1) :: step(2) :: step(3) :: step(4)
#define LESSONS \
    :: hear(0, 1) :: hear(0, 2) :: hear(0, 3) :: hear(0, 4) \
    :: hear(1, 0) :: hear(1, 2) :: hear(1, 3) :: hear(1, 4) \
    :: hear(2, 0) :: hear(2, 1) :: hear(2, 3) :: hear(2, 4) \
    :: hear(3, 0) :: hear(3, 1) :: hear(3, 2) :: hear(3, 4) \
    :: hear(4, 0) :: hear(4, 1) :: hear(4, 2) :: hear(4, 3)
#endif

/* The invariant. Checked after every step that could break it: no other raises a belief. */
inline check() {
    assert((holder[0].belief > 0) + (holder[1].belief > 0) + (holder[DECIDER].belief > 0) <= 1)
}

/* A voter makes the term its own: `_adopt`. Terms grow, and no term is given to two. */
inline adopt(m, v) {
    if
    :: !STORED(m, v) ->
        assert(ask[m].term > voter[v].term);
#ifdef BUG_NOT_STORED
        voter[v].disk_term = voter[v].term;
        voter[v].disk_who = voter[v].who;
#endif
        voter[v].term = ask[m].term;
        voter[v].who = ask[m].who;
        voter[v].promised = 0;
        voter[v].round = 0;
        if :: ask[m].term > top -> top = ask[m].term :: else fi
    :: else
    fi
}

/* `_renew`, `_claim`, `_promise`: the request m reaches voter v, which grants it. */
inline grant(m, v) {
    d_step {
        (ask[m].kind == CLAIM || ask[m].kind == RENEW) && !voter[v].blank && GRANTABLE(m, v) ->
        printf("voter %d grants request %d (term %d of %d)\n", v, m, ask[m].term, ask[m].who);
        n_ = voter[v].promised;
        adopt(m, v);
        voter[v].promised = (n_ > PROMISE_TO(m) -> n_ : PROMISE_TO(m));
        if :: ROUND(m) > voter[v].round -> voter[v].round = ROUND(m) :: else fi;
        n_ = 0;
        if :: ask[m].open -> ask[m].votes = ask[m].votes | (1 << v) :: else fi
    }
}

/* `_release` */
inline heed_release(m, v) {
    d_step {
        ask[m].kind == RELEASE && !voter[v].blank && STORED(m, v) && NOT_OVERTAKEN(m, v) &&
        voter[v].promised > 0 ->
        printf("voter %d heeds release %d\n", v, m);
        voter[v].promised = 0
    }
}

/* Closing a round: votes for it, should they still come, count no more. */
inline close(m) {
    holder[HOLDER_OF(m)].open--;
    ask[m].open = 0;
    ask[m].votes = 0;
    ask[m].left = 0
}

/* A round is forgotten one ttl after the asking, or later: at the next request. */
inline forget_round(m) {
    d_step {
        ask[m].open && ask[m].left == 0 ->
        close(m)
    }
}

inline close_rounds(h) {
    for (i_ : 0 .. REVOKE - 1) {
        if
        :: HOLDER_OF(i_) == h && ask[i_].open -> close(i_)
        :: else
        fi
    };
    i_ = 0
}

inline send(h, what, number) {
    n_ = h * ASKS_A + holder[h].asked;
    ask[n_].kind = what;
    ask[n_].term = number;
    ask[n_].who = boot[h];
    if :: what != RELEASE -> ask[n_].open = 1; ask[n_].left = BELIEF_OF(h); holder[h].open++ :: else fi;
    holder[h].asked++;
    n_ = 0
}

#define MAY_ASK(h) (holder[h].asked < ((h) -> ASKS_B : ASKS_A))

/* `HolderState.request`, claiming t: one above something it has seen, itself or in a refusal. */
inline claim(h, number) {
    d_step {
        MAY_ASK(h) && number > holder[h].seen && number <= top + 1 &&
        (holder[h].term == 0 || !VALID(h) || number >= holder[h].term + 2) ->
        printf("holder %d claims term %d\n", h, number);
        holder[h].seen = number - 1;
        send(h, CLAIM, number)
    }
}

/* `HolderState.request`, renewing */
inline renew(h) {
    d_step {
        MAY_ASK(h) && holder[h].term > 0 && holder[h].seen <= holder[h].term && VALID(h) ->
        printf("holder %d renews term %d\n", h, holder[h].term);
        send(h, RENEW, holder[h].term)
    }
}

/* `HolderState._count`, when enough of the votes have arrived. */
inline win(m) {
    d_step {
        ask[m].open && COUNT(ask[m].votes) >= WINS && ask[m].term >= holder[HOLDER_OF(m)].term ->
        printf("request %d: a majority has granted it; belief for %d ticks\n", m, ask[m].left);
        holder[HOLDER_OF(m)].term = ask[m].term;
        if
        :: ask[m].term > holder[HOLDER_OF(m)].seen -> holder[HOLDER_OF(m)].seen = ask[m].term
        :: else
        fi;
#ifdef BUG_COUNT_FROM_REPLY
        n_ = BELIEF;
#else
        n_ = ask[m].left;
#endif
        if
        :: n_ > 0 ->
            assert(ask[m].term > last_term ||
                   (ask[m].term == last_term && ask[m].who == last_who));
#ifdef GOAL_TAKEOVER    /* no fault: shows that a lease does change hands, and back */
            assert(!(last_term == TERMS - 1 && last_who == 2 && ask[m].who == 1));
#endif
            last_term = ask[m].term;
            last_who = ask[m].who;
            holder[HOLDER_OF(m)].belief_term = ask[m].term
        :: else
        fi;
        if :: n_ > holder[HOLDER_OF(m)].belief -> holder[HOLDER_OF(m)].belief = n_ :: else fi;
        n_ = 0;
        close(m);
        check()
    }
}

/* `HolderState._heed`: a majority agreed to somebody else. Keeping the belief is the worst case. */
inline ousted(h) {
    d_step {
        holder[h].term > 0 && PASSED(h) >= MAJORITY ->
        printf("holder %d hears of a higher term\n", h);
        if :: holder[h].seen <= holder[h].term -> holder[h].seen = holder[h].term + 1 :: else fi;
        holder[h].term = 0
    }
}

/* `HolderState.release`: the workload has stopped, or never started. */
inline release(h) {
    d_step {
        MAY_ASK(h) && (holder[h].term > 0 || holder[h].open > 0) ->
        printf("holder %d stops and releases\n", h);
        t_ = holder[h].term;
        for (i_ : 0 .. REVOKE - 1) {
            if
            :: HOLDER_OF(i_) == h && ask[i_].open && ask[i_].term > t_ -> t_ = ask[i_].term
            :: else
            fi
        };
        if :: t_ > holder[h].seen -> holder[h].seen = t_ :: else fi;
        holder[h].term = 0;
#ifndef BUG_RELEASE_WHILE_ACTING
        holder[h].belief = 0;
        holder[h].belief_term = 0;
#endif
        close_rounds(h);
        send(h, RELEASE, t_);
        t_ = 0
    }
}

/* A holder's process dies and comes back in the same boot; its workload goes on. With `kept` it
 * has its journal and goes on in its term (recovery); without, it begins anew (decider). */
inline restart(h, kept) {
    d_step {
        restarts < RESTARTS && (holder[h].open > 0 || (!kept && holder[h].seen > 0)) ->
        printf("holder %d restarts its process, journal kept: %d\n", h, kept);
        if :: RESTARTS < 255 -> restarts++ :: else fi;
        close_rounds(h);
        holder[h].term = (kept -> holder[h].term : 0);
        holder[h].seen = holder[h].term
    }
}

/* A holder's machine dies: from here on a proof about that boot may exist. */
inline kill(h) {
    d_step {
        kills < KILLS && boot[h] <= 2 && holder[h].asked > 0 ->
        printf("holder %d: machine dies, new boot\n", h);
        kills++;
        close_rounds(h);
        boot[h] = boot[h] + 2;
        holder[h].term = 0;
        holder[h].seen = 0;
        holder[h].belief = 0;
        holder[h].belief_term = 0
    }
}

/* The decider claims in nobody's name. */
inline revoke(number) {
    d_step {
        REVOKES && ask[REVOKE].kind == NONE && number <= top + 1 ->
        printf("the decider revokes with term %d\n", number);
        ask[REVOKE].kind = CLAIM;
        ask[REVOKE].term = number;
        ask[REVOKE].open = 1;
        holder[DECIDER].open = 1;
        ask[REVOKE].left = BELIEF
    }
}

/* With which profile it restarts: the shorter one, unless something longer is outstanding, from
 * before an earlier restart, too (`settled`). One that abstains for longer only refuses more. */
#ifdef BUG_ABSTAINS_FOR_OWN_TTL
#define ABSTENTION(v) (PROMISE - SHORTER)
#else
#define ABSTENTION(v) ((voter[v].promised > PROMISE - SHORTER || \
    voter[v].abstains > PROMISE - SHORTER) -> PROMISE : PROMISE - SHORTER)
#endif

/* A voter restarts: its promises are forgotten, its terms are not. */
inline crash(v) {
    d_step {
        crashes < CRASHES ->
        printf("voter %d restarts with its disk\n", v);
        if :: CRASHES < 255 -> crashes++ :: else fi;
        n_ = ABSTENTION(v);
        restarted(v);
#ifndef BUG_NO_ABSTENTION
        voter[v].abstains = n_;
#endif
        n_ = 0;
#ifdef BUG_NOT_STORED
        voter[v].term = voter[v].disk_term;
        voter[v].who = voter[v].disk_who;
#endif
    }
}

inline restarted(v) {
    voter[v].promised = 0;
    voter[v].round = 0;
    voter[v].heard = 0;
    voter[v].knew = 0;
    if :: voter[v].blank -> voter[v].term = 0; voter[v].who = 0 :: else fi;
#ifndef BUG_NO_ABSTENTION
    voter[v].abstains = PROMISE
#endif
}

/* A voter restarts without its disk, while no other that lost its disk is still blank. Those of a
 * new cluster that are blank since their birth had nothing to lose, and may still be blank. */
inline forget(v) {
    d_step {
        forgets < FORGETS && LOST == voter[v].lost && (!voter[v].blank || voter[v].lost) ->
        printf("voter %d restarts without its disk\n", v);
        forgets++;
        voter[v].term = 0;
        voter[v].who = 0;
        restarted(v);
#ifndef BUG_BLANK_ANSWERS
        voter[v].blank = 1;
        voter[v].lost = 1
#endif
    }
}

#if defined(BUG_LEARN_AT_ONCE)
#define MAY_HEAR(v, u) true
#elif defined(BUG_FRESH_AT_ONCE)    /* whoever finds everybody blank takes the cluster for new */
#define MAY_HEAR(v, u) (voter[v].abstains == 0 || voter[u].blank)
#else
#define MAY_HEAR(v, u) (voter[v].abstains == 0)
#endif

/* `learn`, one reply, as of now; the blank voter's own term is the highest told so far. Asking anew
 * needs no step: it does what hearing the last replies alone does. */
inline hear(v, u) {
    d_step {
        voter[v].blank && !(voter[v].heard & (1 << u)) && MAY_HEAR(v, u) ->
        printf("blank voter %d hears from voter %d\n", v, u);
        voter[v].heard = voter[v].heard | (1 << u);
        if
        :: !voter[u].blank ->
            voter[v].knew = voter[v].knew | (1 << u);
            if
            :: voter[u].term > voter[v].term ->
                voter[v].term = voter[u].term;
                voter[v].who = voter[u].who
#ifndef BUG_LEARN_EITHER
            :: voter[u].term == voter[v].term && voter[u].who != voter[v].who ->
                voter[v].term++;
                voter[v].who = 0
#endif
            :: else
            fi
        :: else
        fi
    }
}

/* `learn`, the conclusion, whenever the last of the replies arrives. */
inline learn(v) {
    d_step {
        voter[v].blank && (voter[v].heard == OTHERS(v) || COUNT(voter[v].knew) >= ENOUGH) ->
        printf("blank voter %d has its memory: term %d of %d\n", v, voter[v].term, voter[v].who);
        if :: voter[v].term > top -> top = voter[v].term :: else fi;
        voter[v].blank = 0;
        voter[v].lost = 0;
        voter[v].heard = 0;
        voter[v].knew = 0
    }
}

/* One tick of true time. `FAST` and `SLOW` are already in what the timers began with. */
inline tick() {
    d_step {
        true ->
        printf("tick\n");
        for (i_ : 0 .. VOTERS - 1) {
            DOWN(voter[i_].promised);
            DOWN(voter[i_].abstains)
        };
        for (i_ : 0 .. REVOKE) { DOWN(ask[i_].left) };
        for (i_ : 0 .. DECIDER) {
            DOWN(holder[i_].belief);
            if :: holder[i_].belief == 0 -> holder[i_].belief_term = 0 :: else fi
        };
        i_ = 0
    }
}

/* What can have no effect any more is cleared, so that states which differ in it are one state:
 * a request below every remembering voter's term that nobody counts votes for (voters' terms only
 * grow, and a blank voter learns one at least as high), and a promise that ends before abstention.
 */
inline clear_spent() {
    n_ = TERMS;
    for (i_ : 0 .. VOTERS - 1) {
        if
        :: !voter[i_].blank && voter[i_].term < n_ -> n_ = voter[i_].term
        :: else
        fi;
        if :: voter[i_].promised <= voter[i_].abstains -> voter[i_].promised = 0 :: else fi
    };
    if :: FRESH -> n_ = 0 :: else fi;
    for (i_ : 0 .. REVOKE) {
        if
        :: ask[i_].term < n_ && !ask[i_].open && ask[i_].kind != NONE ->
            ask[i_].kind = CLAIM;
            ask[i_].term = 0;
            ask[i_].who = 0
        :: else
        fi
    };
    i_ = 0;
    n_ = 0
}

#ifdef SYMMETRY
/* Voters are alike: of the states that differ only in their order, one is enough. Off for trails,
 * which would be unreadable. */
#define KEY(v) ((((((voter[v].term << 3 | voter[v].who) << 3 | voter[v].promised) << 3 | \
    voter[v].abstains) << 4 | voter[v].round) << 2 | voter[v].blank << 1 | voter[v].lost) << 8 | \
    VOTES(v))
#define BIT(m, v) ((ask[m].votes >> (v) & 1) << m)
#if ASKS > 6
#define MORE_VOTES(v) (BIT(6, v) | BIT(5, v) | BIT(4, v))
#elif ASKS > 5
#define MORE_VOTES(v) (BIT(5, v) | BIT(4, v))
#elif ASKS > 4
#define MORE_VOTES(v) BIT(4, v)
#else
#define MORE_VOTES(v) 0
#endif
#define VOTES(v) (BIT(0, v) | BIT(1, v) | BIT(2, v) | MORE_VOTES(v))
#define SWAP(x, y) t_ = x; x = y; y = t_
#define SWAP_BITS(x, v) \
    if :: (x >> (v) & 1) != (x >> (v + 1) & 1) -> x = x ^ (3 << (v)) :: else fi

inline swap(v) {
    SWAP(voter[v].term, voter[v + 1].term);
    SWAP(voter[v].who, voter[v + 1].who);
    SWAP(voter[v].promised, voter[v + 1].promised);
    SWAP(voter[v].abstains, voter[v + 1].abstains);
    SWAP(voter[v].round, voter[v + 1].round);
    SWAP(voter[v].blank, voter[v + 1].blank);
    SWAP(voter[v].lost, voter[v + 1].lost);
    SWAP(voter[v].heard, voter[v + 1].heard);
    SWAP(voter[v].knew, voter[v + 1].knew);
#ifdef BUG_NOT_STORED
    SWAP(voter[v].disk_term, voter[v + 1].disk_term);
    SWAP(voter[v].disk_who, voter[v + 1].disk_who);
#endif
    t_ = 0;
    for (i_ : 0 .. VOTERS - 1) {
        SWAP_BITS(voter[i_].heard, v);
        SWAP_BITS(voter[i_].knew, v)
    };
    for (i_ : 0 .. REVOKE) { SWAP_BITS(ask[i_].votes, v) };
    i_ = 0
}

inline sort() {
    do
    :: KEY(0) > KEY(1) -> swap(0)
    :: KEY(1) > KEY(2) -> swap(1)
#if VOTERS == 5
    :: KEY(2) > KEY(3) -> swap(2)
    :: KEY(3) > KEY(4) -> swap(3)
#endif
    :: else -> break
    od
}
#else
#define sort() skip
#endif

#define REQUEST(m) \
    VOTERS_DO(grant, m) VOTERS_DO(heed_release, m) :: win(m) :: forget_round(m)

#define TERM(t) :: claim(0, t) :: claim(1, t) :: revoke(t)
#define HOLDER(h) :: renew(h) :: release(h) :: ousted(h) :: kill(h) \
    :: restart(h, true) :: restart(h, false)

active proctype World() {
    d_step {
        boot[0] = 1;
        boot[1] = 2;
        for (i_ : 0 .. VOTERS - 1) {
            voter[i_].blank = FRESH;
            if :: FRESH -> voter[i_].abstains = PROMISE :: else fi
        };
        i_ = 0
    };
end:
    do
    :: atomic {
    if
    REQUEST(0) REQUEST(1)
#if ASKS > 3
    REQUEST(2)
#endif
#if ASKS > 4
    REQUEST(3)
#endif
#if ASKS > 5
    REQUEST(4)
#endif
#if ASKS > 6
    REQUEST(5)
#endif
#if ASKS > 7
    REQUEST(6)
#endif
    VOTERS_DO(grant, REVOKE) :: win(REVOKE) :: forget_round(REVOKE)
    TERM(1) TERM(2)
#if TERMS > 2
    TERM(3)
#endif
#if TERMS > 3
    TERM(4)
#endif
    HOLDER(0) HOLDER(1)
    EACH_VOTER(crash) EACH_VOTER(forget) EACH_VOTER(learn)
    LESSONS
    :: tick()
    fi;
    d_step { clear_spent(); sort(); t_ = 0 }
    }
    od
}
