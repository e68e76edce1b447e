//! Links to pay with: whoever has one may pay an order and learns nothing but its page.

use berth_jobs::ids::OrderId;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, zeroize::Zeroizing};
use sha2::Sha256;

use super::{KEY_LEN, SecretKey, SecretKeys};

/// What the key of these links is derived with.
const PURPOSE: &[u8] = b"berth pay link key v1";
/// So many bytes of the MAC are in a link: nobody guesses 128 bits.
const MAC_LEN: usize = 16;

impl SecretKeys {
    /// The address at which an order can be paid: `https://…/pay/ord_….<mac>`. It stays the same until the first key is
    /// rotated, and works as long as that one is among the keys.
    #[must_use]
    pub fn pay_link(&self, public_url: &str, order: OrderId) -> String {
        let mac = mac_of(&self.first, order).finalize().into_bytes();
        let shown: String = mac.iter().take(MAC_LEN).map(|byte| format!("{byte:02x}")).collect();
        format!("{}/pay/{order}.{shown}", public_url.trim_end_matches('/'))
    }

    /// The order that a link's last part is for; `None` when it was not made here.
    #[must_use]
    pub fn order_of_pay_link(&self, token: &str) -> Option<OrderId> {
        let (order, shown) = token.split_once('.')?;
        let order: OrderId = order.parse().ok()?;
        let mac = hex::decode(shown).ok().filter(|mac| mac.len() == MAC_LEN)?;
        let ours = std::iter::once(&self.first).chain(&self.older);
        // Every key is tried, so that the time says nothing.
        let known = ours.filter(|key| mac_of(key, order).verify_truncated_left(&mac).is_ok()).count();
        (known > 0).then_some(order)
    }
}

fn mac_of(key: &SecretKey, order: OrderId) -> Hmac<Sha256> {
    let mut derived = hmac_of(key.bytes.expose_secret());
    derived.update(PURPOSE);
    let derived = Zeroizing::new(<[u8; KEY_LEN]>::from(derived.finalize().into_bytes()));
    let mut mac = hmac_of(&derived);
    mac.update(order.0.as_bytes());
    mac
}

/// HMAC fills short keys with zeros up to its block of 64 bytes, so this is the HMAC of the 32 bytes.
fn hmac_of(key: &[u8; KEY_LEN]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0_u8; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new((&*block).into())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;
    use uuid::Uuid;

    use super::*;

    const OLD: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const NEW: &str = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

    fn keys(text: &str) -> SecretKeys {
        SecretKeys::parse(&SecretString::from(text)).unwrap()
    }

    fn token(keys: &SecretKeys, order: OrderId) -> String {
        keys.pay_link("https://shop.test/", order).strip_prefix("https://shop.test/pay/").unwrap().to_owned()
    }

    #[test]
    fn a_link_leads_to_its_order_and_survives_a_rotation() {
        let order = OrderId(Uuid::from_u128(7));
        let token = token(&keys(OLD), order);

        assert_eq!(keys(OLD).order_of_pay_link(&token), Some(order));
        assert_eq!(keys(&format!("{NEW},{OLD}")).order_of_pay_link(&token), Some(order));
        assert_eq!(keys(NEW).order_of_pay_link(&token), None, "the key it was made with is gone");
    }

    #[test]
    fn a_link_that_was_not_made_here_leads_nowhere() {
        let (keys, order) = (keys(OLD), OrderId(Uuid::from_u128(7)));
        let token = token(&keys, order);
        let (_, mac) = token.split_once('.').unwrap();
        let other = OrderId(Uuid::from_u128(8));

        for forged in [
            format!("{other}.{mac}"),
            format!("{order}.{}", "0".repeat(32)),
            format!("{order}.{}", &mac[..30]),
            format!("{order}."),
            format!("{order}"),
            format!("{token}00"),
            String::new(),
        ] {
            assert_eq!(keys.order_of_pay_link(&forged), None, "{forged}");
        }
    }
}
