//! A set of services.

use snap_core::Service;

#[derive(Clone, Copy, Default)]
pub(crate) struct Services(u8);

impl Services {
    pub(crate) const fn contains(self, service: Service) -> bool {
        self.0 & bit(service) != 0
    }

    /// Adds it; whether it was there already.
    pub(crate) const fn insert(&mut self, service: Service) -> bool {
        let had = self.contains(service);
        self.0 |= bit(service);
        had
    }
}

const fn bit(service: Service) -> u8 {
    1 << service as u8
}
