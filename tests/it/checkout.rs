//! A purchase, from the cart's request to a site that answers.

use serde_json::json;
use uuid::Uuid;

use super::support::Stack;

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_checkout_becomes_a_site_that_answers() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();

    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;

    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    assert_eq!(shown["status"], "completed");
    assert_eq!(shown["total"], "4.99");
    let account = shown["items"][0]["hosting_account_id"].as_str().unwrap().to_owned();
    let (_, hosting) = stack.get(user, &format!("/v1/hosting/{account}")).await;
    assert_eq!(hosting["status"], "active", "{hosting}");
    assert_eq!(hosting["nameservers"], json!(["ns1.ks-foundation.com", "ns2.ks-foundation.com"]));
    let username = hosting["account_username"].as_str().unwrap();
    let site = stack
        .client
        .get(stack.base())
        .header("Host", format!("{username}.localhost:{}", stack.address.port()))
        .send()
        .await
        .unwrap();
    assert_eq!(site.status(), 200);
    let subjects: Vec<String> = stack.mailbox.mails().iter().map(|mail| mail.subject.clone()).collect();
    assert_eq!(subjects.len(), 2, "{subjects:?}");
    stack.audit().await;
    berth.stop().await;
}
