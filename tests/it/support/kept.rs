//! Everything that Berth keeps or has sent, as one text to be searched.

use super::Stack;

impl Stack {
    /// Every row of every table, every key of Redis with its value, every mail. Bytes of tables are in hex.
    pub(crate) async fn everything_kept(&self) -> String {
        let mut all = String::new();
        let tables: Vec<String> =
            sqlx::query_scalar("select table_name::text from information_schema.tables where table_schema = 'berth'")
                .fetch_all(&self.pool)
                .await
                .unwrap();
        for table in tables {
            let sql = format!("select coalesce(string_agg(t::text, E'\\n'), '') from berth.\"{table}\" t");
            let rows: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(&self.pool).await.unwrap();
            all.push_str(&rows);
        }
        all.push_str(&self.all_of_redis().await);
        for mail in self.mailbox.mails() {
            all.push_str(&format!("{:?}", mail.message()));
        }
        all
    }

    async fn all_of_redis(&self) -> String {
        let url = &self.settings.iter().find(|(key, _)| key == "redis.url").unwrap().1;
        let mut redis = redis::Client::open(url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
        let (mut all, mut cursor) = (String::new(), 0_u64);
        loop {
            let (next, keys): (u64, Vec<Vec<u8>>) =
                redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(1_000).query_async(&mut redis).await.unwrap();
            for key in keys {
                let dumped: Option<Vec<u8>> = redis::cmd("DUMP").arg(&key).query_async(&mut redis).await.unwrap();
                let value = String::from_utf8_lossy(dumped.as_deref().unwrap_or_default()).into_owned();
                all.push_str(&format!("{} {value}\n", String::from_utf8_lossy(&key)));
            }
            cursor = next;
            if cursor == 0 {
                return all;
            }
        }
    }
}
