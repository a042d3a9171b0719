-- Rows of every kind that all old versions have. All passwords but Zoë's are `correct horse battery`; hers was hashed as a Mac
-- types it, decomposed: `schön grüne batterie`.
INSERT INTO users (email, name, password_hash, role) VALUES
    ('Ann@Example.com', 'Ann', '$argon2id$v=19$m=8,t=1,p=1$Ocz5RF5IWQKaKnwMuBDegg$BKxH5OSZBbbQG+Mx3yi3UdyC3aKYcCC+TRS6tBain0U', 'user'),
    ('bob@example.com', 'Bob', '$argon2id$v=19$m=8,t=1,p=1$Ocz5RF5IWQKaKnwMuBDegg$BKxH5OSZBbbQG+Mx3yi3UdyC3aKYcCC+TRS6tBain0U', 'user'),
    ('max@example.com', 'Max', '$argon2id$v=19$m=8,t=1,p=1$Ocz5RF5IWQKaKnwMuBDegg$BKxH5OSZBbbQG+Mx3yi3UdyC3aKYcCC+TRS6tBain0U', 'moderator'),
    ('Zoë@München.example', 'Zoë', '$argon2id$v=19$m=8,t=1,p=1$rqkxkP2ahNpWAKJ9dUoy4g$As4XbWt1aT9SEed7w1itiOj7oTd33HN4uW6g4DqnaIs', 'user'),
    ('eve@example.com', 'Eve', '$argon2id$v=19$m=8,t=1,p=1$Ocz5RF5IWQKaKnwMuBDegg$BKxH5OSZBbbQG+Mx3yi3UdyC3aKYcCC+TRS6tBain0U', 'user');
UPDATE users SET banned_at = now(), banned_by = 3, ban_reason = 'Spam.' WHERE name = 'Eve';
INSERT INTO users (email, name, password_hash, deleted_at) VALUES (NULL, '', NULL, now() - interval '1 year');

INSERT INTO sessions (id, user_id, generation, expires_at) VALUES ('alive', 1, 3, now() + interval '20 days');
INSERT INTO sessions (id, user_id, expires_at, revoked_at, revoked_because)
VALUES ('ended', 1, now() + interval '20 days', now(), 'logged out');
INSERT INTO blocks (blocker_id, blocked_id) VALUES (1, 5);

INSERT INTO categories (name) VALUES ('Cars'), ('Staff');
UPDATE categories SET visibility = 'private' WHERE name = 'Staff';
INSERT INTO categories (name, deleted_at, deleted_by) VALUES ('Boats', now(), 3);

INSERT INTO listings (seller_id, category_id, title, content, make, model, year, price, mileage, location) VALUES
    (1, 1, 'A blue Golf', 'It drives.', 'VW', 'Golf', 2015, 9500, 80000, 'Berlin, Germany'),
    (1, 1, 'A sold Corolla', 'It drove.', 'Toyota', 'Corolla', 2010, NULL, NULL, NULL),
    (1, 1, 'A hidden one', 'Hm.', NULL, NULL, NULL, NULL, NULL, NULL),
    (1, 1, 'One in the trash', 'Hm.', NULL, NULL, NULL, NULL, NULL, NULL),
    (1, 3, 'A boat', 'Hm.', NULL, NULL, NULL, NULL, NULL, NULL),
    (5, 1, 'Of somebody banned', 'Hm.', NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE listings SET status = 'sold' WHERE id = 2;
UPDATE listings SET hidden_at = now(), hidden_by = 3, hidden_reason = 'Why not.' WHERE id = 3;
UPDATE listings SET trashed_at = now(), trashed_by = 1 WHERE id = 4;
INSERT INTO pictures
    (listing_id, key, content_type, size, width, height, thumbnail_key, thumbnail_content_type, thumbnail_size)
VALUES (1, 'big', 'image/jpeg', 5000, 800, 600, 'small', 'image/jpeg', 500);
INSERT INTO abandoned_files (key, since) VALUES ('gone', now() + interval '1 hour');
INSERT INTO replies (listing_id, author_id, text) VALUES (1, 2, 'A nice one.');
INSERT INTO reports (listing_id, reporter_id, reason, resolved_at, resolved_by) VALUES (2, 2, 'sold', now(), 3);
INSERT INTO reports (listing_id, reporter_id, reason, text) VALUES (1, 2, 'other', 'It is green.');
INSERT INTO audit (actor_id, action, target_type, target_id, reason) VALUES (3, 'ban', 'user', 5, 'Spam.');
INSERT INTO vocabulary (word, uses) VALUES ('golf', 2);
INSERT INTO nodes (id, alive_until, heard_at, unheard) VALUES ('api-old', now(), now(), 0);
INSERT INTO chores (name, done_at) VALUES ('vocabulary', now());

INSERT INTO messages (from_id, to_id, text, listing_id, client_ref, read_at) VALUES
    (2, 1, 'Is it still there?', 1, 'ref-1', now()), (1, 2, 'Yes.', NULL, NULL, NULL), (2, 1, 'Good.', NULL, NULL, NULL);
