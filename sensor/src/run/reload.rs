//! Reading configuration, rules and exceptions again, without missing an event.

use peewit_core::alert::{Reason, Record};

use super::{Watch, seed};
use crate::config;
use crate::exceptions::{self, Exceptions};
use crate::file::{Error, File};
use crate::log::Path;
use crate::options::{self, Name};
use crate::rules::{self, RULES};
use crate::state::STATE;
use crate::sys::{Book, monotonic_ns, release_stack, sleep_ms};
use crate::text::{Decimal, plain, say};

/// How often to try to put a header into a stream that has no room, every 10 ms.
const TRIES: u32 = 100;

/// Whether another value of an option is obeyed at once.
const fn is_obeyed(name: Name) -> bool {
    matches!(
        name,
        Name::Rules
            | Name::RateLimit
            | Name::Exceptions
            | Name::AllowOlderPack
            | Name::Learning
            | Name::Health
            | Name::Canary
    )
}

impl Watch {
    /// Reads all again and uses it; or says what is bad, and goes on with what there was.
    #[inline(never)]
    pub(super) fn reload(&mut self) {
        let now = Decimal::new(monotonic_ns() / 1000);
        if let Ok(message) = Path::of(&[b"RELOADING=1\nMONOTONIC_USEC=", now.as_bytes()]) {
            self.supervisor.tell(message.as_bytes());
        }
        if self.read_again().is_some() {
            self.keeper.reloads += 1;
        } else {
            self.keeper.reloads_refused += 1;
            say("read again, and refused: all stays as it was");
        }
        self.keeper.tell(Reason::Reload, self.me);
        self.supervisor.tell(b"READY=1");
        release_stack();
    }

    /// Nothing is changed before all was found good.
    fn read_again(&mut self) -> Option<()> {
        let refuse = |error: Error| {
            error.tell(config::path(&self.told), &mut say(""));
        };
        let mut file = config::read(&self.told).map_err(refuse).ok()?;
        let told = config::merge(&self.told, file.as_mut().map_or(&mut [], File::with_end));
        let told = told.map_err(refuse).ok()?;
        let (book, build) = rules::choose(&told)
            .map_err(|error| {
                error.tell(rules::path(&told), &mut say(""));
            })
            .ok()?;
        let pack = book.engine().pack();
        let (exceptions, _) = exceptions::load(&told, &pack)
            .map_err(|error| {
                error.tell(exceptions::path(&told), &mut say(""));
            })
            .ok()?;
        let rule_count = pack.rule_count();
        let identity = (pack.build(), pack.checksum());
        let is_new = RULES.hold().is_none_or(|held| {
            let pack = held.engine().pack();
            (pack.build(), pack.checksum()) != identity
        });
        if !self.replace(Some(book).filter(|_| is_new), exceptions) {
            say("the rules before these are still in use");
            return None;
        }
        rules::note_build(build);
        self.obey(&told);
        for name in options::keys().filter(|name| !is_obeyed(*name)) {
            if told.value(name) != self.options.value(name) {
                say(options::key_of(name)).text(": takes effect at the next start");
            }
        }
        plain("peewit: read again; rules: ").number(rule_count as u64);
        Some(())
    }

    /// Other exceptions, and other rules if there are some, between two events. Gives whether that could be done.
    #[inline(never)]
    fn replace(&mut self, book: Option<Book>, exceptions: Exceptions) -> bool {
        let (sensor, me) = (self.sensor, self.me);
        let Some(book) = book else {
            STATE.lock(me).outlet.exceptions = exceptions;
            return true;
        };
        // Then the place is free until something is put there, which happens here alone.
        if !RULES.retire() {
            return false;
        }
        self.host.use_pack(&book.engine().pack());
        let mut state = STATE.lock(me);
        if !state.replace_rules(sensor, book) {
            return false;
        }
        state.outlet.exceptions = exceptions;
        let header = Record::Header(self.host.header());
        let mut told = state.outlet.tell(&header);
        drop(state);
        for _ in 0..TRIES {
            sensor.writer.ring();
            if told {
                break;
            }
            sleep_ms(10);
            told = STATE.lock(me).outlet.tell(&header);
        }
        seed(sensor, me, true);
        STATE.lock(me).learned();
        // Gives the memory back, mostly at once.
        RULES.retire();
        true
    }
}
