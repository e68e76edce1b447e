//! Dates: the 31st, the 29th of February, and clocks that change.

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};

use super::{AROUND_DUE, World, world::day_of};
use crate::support::StackOptions;

#[tokio::test(flavor = "multi_thread")]
async fn a_month_bought_on_the_31st_is_renewed_on_the_last_day_of_shorter_months_for_a_year() {
    let world = World::at("2030-01-31T12:00:00Z").await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let end = world.due(&life).await + SignedDuration::from_hours(24 * 365);

    // The days on which something happens have their run, those beside them, and one between two periods.
    while world.due(&life).await <= end {
        let due = world.due(&life).await;
        for day in [-8, -7, -6, -4, -3, -2, 0, 1, 2, 11] {
            let at = due + SignedDuration::from_hours(24 * day) + SignedDuration::from_mins(1);
            if at < end {
                world.visit(&mut [], at).await;
            }
        }
    }
    world.look_at(&mut life).await;

    insta::assert_snapshot!("monthly_from_31_january", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_year_bought_on_a_leap_day_is_renewed_on_the_28th_until_the_next_leap_year() {
    let world = World::at("2032-02-29T12:00:00Z").await;
    let mut life = world.buy("shared-annual", "pm_card_visa").await;

    for _ in 0..4 {
        world.through(&mut life, [-31, -30, -14, -3, 0, 1]).await;
    }

    insta::assert_snapshot!("annual_from_29_february", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_change_in_the_shops_zone_move_no_date() {
    let zones = ["America/New_York", "Europe/Berlin", "Pacific/Kiritimati"];

    // Bought in the last minutes before New York's clocks are put forward, and before Berlin's.
    let timelines = join_all(zones.map(|zone| async move {
        let options = StackOptions::default().setting("shop.time_zone", zone);
        let world = World::with(options, "2030-03-10T06:55:00Z").await;
        let new_york = world.buy("shared-monthly", "pm_card_visa").await;
        world.go_to("2030-03-31T00:55:00Z".parse().unwrap()).await;
        let berlin = world.buy("shared-monthly", "pm_card_visa").await;
        let mut times: Vec<Timestamp> = Vec::new();
        for life in [&new_york, &berlin] {
            let due = world.due(life).await;
            times.extend(AROUND_DUE.map(|day| day_of(due, day)));
        }
        times.sort_unstable();
        let mut lives = [new_york, berlin];
        for at in times {
            world.visit(&mut lives, at).await;
        }
        let told = format!("{}\n\n{}", world.timeline(&lives[0]).await, world.timeline(&lives[1]).await);
        world.end(&mut lives).await;
        told
    }))
    .await;

    insta::assert_snapshot!("clocks_that_change", &timelines[0]);
    assert_eq!((&timelines[1], &timelines[2]), (&timelines[0], &timelines[0]), "in every zone the same");
}
